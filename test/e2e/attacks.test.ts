import 'reflect-metadata';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { connect as connectNats } from 'nats';
import { afterEach, expect, it } from 'vitest';
import { freePort } from '../../bench/support/free-port.js';
import { subjects } from '../../proto/metrics.js';
import { createAuthority } from '../../runtime/certificates.js';
import type { CertificateIdentity } from '../../runtime/grpc/credentials.js';
import { coordinatorName, workerName } from '../../runtime/member-name.js';
import { inboxPrefix } from '../../runtime/nats-session.js';
import { closeAttacks, drip, knock } from '../support/attack-connections.js';
import { attackPeer, attacksOn, joinAs } from '../support/attacks.js';
import { runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { readMetrics, readStateDigest } from '../support/run-files.js';
import { openTinyRuns } from '../support/tiny-runs.js';
import { joinWorker } from '../support/worker-process.js';

const runs = await openTinyRuns(20); // 48 training images: 3 steps
const { data } = runs;

afterEach(closeAttacks);

interface LogLine {
  readonly time: string;
  readonly again?: number;
}

/** What a member tries at NATS, and the line of the server's own log. */
async function attackNats(url: string, runId: string, authority: string, member: CertificateIdentity) {
  const tls = { ca: authority, servername: coordinatorName };
  const options = { servers: url, reconnect: false, timeout: 5_000 } as const;
  await expect(connectNats({ ...options, tls })).rejects.toThrow();
  const own = { ...tls, cert: member.certificate, key: member.key };
  const connection = await connectNats({
    ...options,
    tls: own,
    inboxPrefix: inboxPrefix(workerName('mallory')),
  });
  connection.publish(subjects.step(runId, 'worker-0'), '{}');
  connection.publish(`$JS.API.STREAM.DELETE.rondo-${runId}`);
  connection.subscribe('>');
  await connection.flush();
  await connection.close();
}

it('a run that is attacked meanwhile logs a line for each attack, and ends with the same weights', async () => {
  const quick = ['--epochs', '1', '--threads', '1'];
  const calm = runCoordinator(runs.start('calm', data, ...quick));

  const publicAuthority = await createAuthority('A Public Authority');
  const trusted = path.join(runs.root, 'trusted.pem');
  writeFileSync(trusted, publicAuthority.certificate);
  const coordinator = startCoordinator(
    runs.start(
      ...(['attacked', data, ...quick, '--workers', '2', '--local-workers', '1'] as const),
      ...['--listen', '127.0.0.1:0', '--advertise', 'coordinator.example:7070'],
    ),
    { RONDO_LOG: 'warn', NODE_EXTRA_CA_CERTS: trusted },
  );
  const { joining } = await coordinator.event(({ kind }) => kind === 'waiting');
  const { token, hash } = joining as { token: string; hash: string };
  const folder = runs.run('attacked');
  const read = (name: string) => readFileSync(path.join(folder, name), 'utf8');
  const { address, nats } = JSON.parse(read('coordinator.json')) as {
    address: string;
    nats: { port: number };
  };
  const authority = { certificate: read('identity/authority.pem'), key: read('identity/authority-key.pem') };
  const target = { address, folder, hash, authority, publicAuthority };
  // To a coordinator of another authority, such as one in between, a worker gives no token.
  const misled = joinWorker(address, {
    inputs: ['--token', token, '--ca-hash', `sha256:${'0'.repeat(64)}`, '--id', 'misled'],
  });
  const attacks = await attacksOn(target);
  for (const attack of attacks) await attack.try();
  const { code: refusal, stderr: told } = await misled.exited;
  expect(refusal, told).toBe(4);
  expect(told).toMatch(/^worker: .*\n/);
  expect(told).not.toContain(token.split('.')[1]);

  const { runId } = JSON.parse(read('run.json')).config as { runId: string };
  const mallory = await joinAs('mallory-4', target);
  const { identity } = mallory;
  const url = `tls://127.0.0.1:${nats.port}`;
  await attackNats(url, runId, authority.certificate, identity as CertificateIdentity);
  const natsLog = read('nats/nats-server.log');
  for (const refusal of [/didn't provide a certificate/, /Publish Violation.*worker-0/]) {
    expect(natsLog.match(new RegExp(refusal, 'g')), natsLog).toHaveLength(1);
  }
  expect(natsLog.match(/Publish Violation.*JS\.API\.STREAM\.DELETE/g), natsLog).toHaveLength(1);
  expect(natsLog.match(/Subscription Violation/g), natsLog).toHaveLength(1);

  // Meanwhile an operator elsewhere looks on, by the line that the coordinator's machine prints for one.
  const create = ['token', 'create', folder, '--for', 'operator', '--coordinator', address];
  const printed = (await runCoordinator(create)).stdout.trim().split(' ');
  expect(printed.slice(0, 2)).toEqual(['coordinator', 'status']);
  const proof = printed.slice(2);
  const [asked, logs] = await Promise.all([
    runCoordinator(['status', ...proof, '--json']),
    runCoordinator(['logs', 'attacked', ...proof, '--tail', '1']),
  ]);
  expect(asked.events, asked.stderr).toMatchObject([{ kind: 'status', runId, phase: 'gathering' }]);
  expect(logs.stdout, logs.stderr).toMatch(
    /worker join --coordinator \S+ --token-file FILE --ca-hash \S+\n$/,
  );
  const follower = startCoordinator(['logs', ...proof, '--follow', '--json']);
  await follower.event(({ kind }) => kind === 'prepared');

  const secondRound = new Date().toISOString();
  // While it trains, all of it at once, and sockets that say nothing, or little.
  const peer = `127.0.0.1:${await freePort()}`;
  const guest = joinWorker(address, {
    inputs: ['--token', token, '--ca-hash', hash, '--id', 'guest', '--listen', peer],
    environment: { RONDO_LOG: 'warn' },
  });
  const { generation } = await coordinator.event(({ kind }) => kind === 'assigned');
  // Answered while the ring is made, before the first step.
  const atPeer = attackPeer(peer, 'guest', mallory, BigInt(generation as number));
  // The run may end first.
  const again = Promise.allSettled([drip(target), ...attacks.map((attack) => attack.try())]);
  knock(address, 1_000);
  const { code, stderr, events } = await coordinator.exited;
  await Promise.race([again, new Promise((resolve) => setTimeout(resolve, 5_000))]);
  expect(code, stderr).toBe(0);
  const left = await guest.exited;
  expect(left.code, left.stderr).toBe(0);
  const refusals = {
    rank: 'the certificate of this connection is not that of rank',
    old: `generation ${Number(generation) - 1} is over`,
    state: 'copied by the coordinator and the members of the present generation alone',
  };
  const answers = await atPeer;
  for (const [what, why] of Object.entries(refusals)) {
    expect(answers[what as keyof typeof answers]).toContain(why);
    expect(left.stderr.split(why), left.stderr).toHaveLength(2);
  }
  expect(events.at(-1)).toMatchObject({ kind: 'summary', status: 'completed', steps: 3 });
  expect(events.filter(({ kind }) => ['worker-lost', 'recovered'].includes(kind))).toEqual([]);

  const followed = await follower.exited;
  expect(followed.code, followed.stderr).toBe(0);
  expect(followed.events.at(-1)).toEqual({ kind: 'ended', reason: 'the run is completed' });
  expect(followed.events.filter(({ kind }) => kind === 'step')).toHaveLength(3);
  expect(followed.stdout + logs.stdout).not.toContain(token);

  const lines = stderr.split('\n').filter((line) => line.startsWith('{'));
  const isEarlier = (line: string) => (JSON.parse(line) as LogLine).time < secondRound;
  const [earlier, later] = [lines.filter(isEarlier), lines.filter((line) => !isEarlier(line))];
  for (const { name, line } of attacks) {
    const logged = earlier.filter((each) => line.test(each)).map((each) => JSON.parse(each) as LogLine);
    // What comes again within seconds is counted, in one more line.
    expect(
      logged.filter(({ again }) => again === undefined),
      name,
    ).toHaveLength(1);
  }
  for (const seen of [/"(call|connection) refused"/, /"connection closed".*prove no membership/]) {
    expect(
      later.some((line) => seen.test(line)),
      `${seen}`,
    ).toBe(true);
  }
  expect((await calm).code).toBe(0);
  const digest = (run: string) => readStateDigest(path.join(runs.run(run), 'checkpoints', 'epoch-0000'));
  expect(digest('attacked')).toBe(digest('calm'));
  expect(new Set(readMetrics(folder, 'worker-step').map(({ worker }) => worker))).toEqual(
    new Set(['worker-0', 'guest']),
  );
  expect(stderr).not.toContain(token);
}, 600_000);
