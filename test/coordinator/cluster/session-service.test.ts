import { once } from 'node:events';
import { afterEach, expect, it } from 'vitest';
import { listen } from '../../../coordinator/cluster/listen.js';
import { createSessions } from '../../../coordinator/cluster/session-service.js';
import { createTransfers } from '../../../coordinator/cluster/transfers.js';
import { Activity, CoordinatorClient, type WorkerMessage } from '../../../proto/gen/coordinator.js';
import { RondoError } from '../../../runtime/errors.js';
import { openChannel } from '../../../runtime/grpc/channel.js';
import { testCredentials } from '../../support/credentials.js';

type Message = NonNullable<WorkerMessage['message']>;
const register: Message = {
  $case: 'register',
  value: { workerId: 'a', peerAddress: '127.0.0.1:1', host: 'h', pid: 1, version: '1' },
};
const heartbeat: Message = {
  $case: 'heartbeat',
  value: { generation: 0n, step: 0n, evaluated: 0, activity: Activity.ACTIVITY_WAITING },
};

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function openSession(registerMs: number) {
  const heard: string[] = [];
  const sessions = createSessions(
    {
      message: (_, { message }) => heard.push(message!.$case),
      closed: (_, reason) => heard.push(`closed: ${reason}`),
    },
    registerMs,
  );
  const transfers = createTransfers(
    {
      dataset: { root: '/', classes: [], train: [], valid: [], digest: '' },
      pretrainedPath: null,
      checkpoint: async function* () {},
    },
    60_000,
  );
  const server = await listen(
    { listen: '127.0.0.1:0', credentials: testCredentials },
    {
      session: sessions.handler,
      ...transfers,
    },
  );
  const client = openChannel(CoordinatorClient, server.address, {
    credentials: testCredentials,
    peer: 'anybody',
    maxReceiveBytes: 1 << 10,
  });
  closing.push(
    () => client.close(),
    () => server.destroy(),
  );
  const call = client.session();
  const ended = once(
    call.on('data', () => {}),
    'error',
  ).then(([error]) => RondoError.from(error));
  ended.catch(() => {});
  return { sessions, heard, call, ended };
}

it('a session that says nothing is closed', async () => {
  const { sessions, heard, ended } = await openSession(200);
  expect(await ended).toMatchObject({
    code: 'failed-precondition',
    message: 'the session did not register within 0.2 s',
  });
  expect(heard).toEqual(['closed: the session did not register within 0.2 s']);
  await sessions.drained();
});

it('a session that begins with anything else is closed, and nothing of it is heard', async () => {
  const { heard, call, ended } = await openSession(60_000);
  call.write({ message: heartbeat });
  call.write({ message: register });
  expect(await ended).toMatchObject({ message: 'the session did not register first of all' });
  expect(heard).toEqual(['closed: the session did not register first of all']);
});

it('a session that has registered stays', async () => {
  const { heard, call } = await openSession(100);
  call.write({ message: register });
  await expect.poll(() => heard).toEqual(['register']);
  await new Promise((resolve) => setTimeout(resolve, 300));
  call.write({ message: heartbeat });
  await expect.poll(() => heard).toEqual(['register', 'heartbeat']);
  call.cancel();
});
