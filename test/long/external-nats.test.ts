import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { freePort } from '../../bench/support/free-port.js';
import { createAuthority, issuePair } from '../../runtime/certificates.js';
import { installation } from '../../runtime/installation.js';
import { startCoordinator } from '../support/coordinator-process.js';
import { readMetrics } from '../support/run-files.js';
import { openTinyRuns } from '../support/tiny-runs.js';
import { joinWorker } from '../support/worker-process.js';

const runs = await openTinyRuns(20); // 48 training images: 3 steps
let server: ChildProcess | undefined;
afterEach(() => void server?.kill('SIGKILL'));

async function startServer(...args: string[]): Promise<number> {
  const port = await freePort();
  const store = ['--jetstream', '--store_dir', path.join(runs.root, `store-${port}`)];
  const place = ['--addr', '127.0.0.1', '--port', `${port}`, ...store];
  server = spawn(installation().natsServer!, [...place, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  await new Promise<void>((resolve, reject) => {
    let log = '';
    server!.once('close', () => reject(new Error(log)));
    server!.stderr!.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      if (log.includes('Server is ready')) resolve();
    });
  });
  return port;
}

/** A run with a worker of its own and a guest, whose metrics travel by `nats`; its files hold no login. */
async function train(name: string, nats: string, environment: Record<string, string> = {}): Promise<void> {
  const shape = ['--workers', '2', '--local-workers', '1', '--epochs', '1', '--threads', '1'];
  const coordinator = startCoordinator(runs.start(name, runs.data, ...shape, '--nats', nats), environment);
  const waiting = await coordinator.event(({ kind }) => kind === 'waiting');
  const guest = joinWorker(waiting, { inputs: ['--id', 'guest'], environment: tlsOf(environment) });
  const { code, stderr } = await coordinator.exited;
  expect(code, stderr).toBe(0);
  expect((await guest.exited).code).toBe(0);
  const steps = readMetrics(runs.run(name), 'worker-step').map(({ worker, step }) => `${worker} ${step}`);
  expect(new Set(steps)).toEqual(
    new Set(['worker-0', 'guest'].flatMap((worker) => [0, 1, 2].map((step) => `${worker} ${step}`))),
  );
  expect(readFileSync(path.join(runs.run(name), 'run.json'), 'utf8')).not.toContain('s3cret');
}

const tlsOf = ({ NODE_EXTRA_CA_CERTS = '' }: Record<string, string>) => ({ NODE_EXTRA_CA_CERTS });

it('metrics of all workers travel by a server of the user’s own, with a user and a password', async () => {
  const port = await startServer('--user', 'ann', '--pass', 's3cret');
  await train('with-password', `nats://ann:s3cret@127.0.0.1:${port}`);
});

it('and by one that speaks TLS, with a token from the environment', async () => {
  const authority = await createAuthority('of the user');
  const pair = await issuePair(authority, { name: 'localhost', subject: 'nats', lifetimeMs: 600_000 });
  const file = (name: string, text: string) => {
    const place = path.join(runs.root, name);
    writeFileSync(place, text);
    return place;
  };
  const trusted = file('ca.pem', authority.certificate);
  const identity = ['--tlscert', file('cert.pem', pair.certificate), '--tlskey', file('key.pem', pair.key)];
  const port = await startServer('--tls', ...identity, '--auth', 's3cret');
  await train('with-token', `tls://localhost:${port}`, {
    RONDO_NATS_TOKEN: 's3cret',
    NODE_EXTRA_CA_CERTS: trusted,
  });
});
