import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterEach, expect, it } from 'vitest';
import type { RondoError } from '../../runtime/errors.js';
import { installation } from '../../runtime/installation.js';
import { openNatsSession, splitNatsUrl } from '../../runtime/nats-session.js';

let server: ChildProcess | undefined;
afterEach(() => void server?.kill('SIGKILL'));

/** The port of a server that takes this user alone. */
async function serve(user: string, password: string): Promise<string> {
  const inputs = ['--addr', '127.0.0.1', '--port', '-1', '--user', user, '--pass', password];
  server = spawn(installation().natsServer!, inputs, { stdio: ['ignore', 'ignore', 'pipe'] });
  for await (const line of createInterface({ input: server.stderr! })) {
    const port = /Listening for client connections on .*:(\d+)$/.exec(line)?.[1];
    if (port !== undefined) return port;
  }
  throw new Error('nats-server did not start');
}

/** What the first attempt to connect came to. */
function tryOut(url: string): Promise<'connected' | RondoError> {
  return new Promise((resolve) => {
    const session = openNatsSession({
      ...{ url, token: '', name: 'test' },
      work: async () => resolve('connected'),
      onTrouble: resolve,
    });
    closing.push(session.close);
  });
}
const closing: (() => Promise<void>)[] = [];
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

it('takes user and password from the URL, and never shows them', async () => {
  const port = await serve('ann', 'p@ss');
  expect(await tryOut(`nats://ann:p%40ss@127.0.0.1:${port}`)).toBe('connected');
  const refused = await tryOut(`nats://ann:wr0ng@127.0.0.1:${port}`);
  expect(refused).toMatchObject({
    code: 'unavailable',
    message: expect.stringMatching(new RegExp(`nats://127.0.0.1:${port}: .*authorization`, 'i')),
  });
  expect(String(refused)).not.toContain('wr0ng');
});

it.each([
  ['nats://127.0.0.1:4222', 'nats://127.0.0.1:4222', {}],
  ['nats://s3cret@127.0.0.1:4222', 'nats://127.0.0.1:4222', { token: 's3cret' }],
  ['nats://ann:p%40ss@127.0.0.1:4222/', 'nats://127.0.0.1:4222', { user: 'ann', pass: 'p@ss' }],
  ['tls://%2Fx@nats.example:4222', 'tls://nats.example:4222', { token: '/x' }],
])('%s', (text, address, login) => {
  expect(splitNatsUrl(text)).toEqual({ address, login });
  const given = 'from-elsewhere';
  const expected = text === address ? { token: given } : login;
  expect(splitNatsUrl(text, given)).toEqual({ address, login: expected });
});
