import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { descendantsOf } from '../../bench/support/processes.js';
import { type JsonEvent, startCoordinator } from '../support/coordinator-process.js';
import { openTinyRuns } from '../support/tiny-runs.js';
import { joinWorker } from '../support/worker-process.js';

const runs = await openTinyRuns(20); // 48 training images: 3 steps
const { data } = runs;

/** Nobody listens on port 1, and nothing is exempt. */
const deadProxies = Object.fromEntries(
  ['http_proxy', 'https_proxy', 'grpc_proxy', 'all_proxy']
    .flatMap((name) => [name, name.toUpperCase()])
    .map((name) => [name, 'http://127.0.0.1:1'])
    .concat(['no_proxy', 'NO_PROXY', 'no_grpc_proxy'].map((name) => [name, ''])),
);

const join = (run: JsonEvent | string, inputs: string[], environment: Record<string, string> = {}) =>
  joinWorker(run, { inputs, environment: { ...deadProxies, ...environment } }).exited;

it('a run behind dead proxies takes in a worker that holds its token, and no other', async () => {
  const coordinator = startCoordinator(
    runs.start('guarded', data, '--workers', '2', '--local-workers', '1', '--epochs', '1'),
    deadProxies,
  );
  const waiting = await coordinator.event(({ kind }) => kind === 'waiting');
  const [address, tokenFile] = [waiting.address as string, waiting.tokenFile as string];
  expect(statSync(tokenFile).mode & 0o777).toBe(0o600);
  const token = readFileSync(tokenFile, 'utf8').trim();
  for (const { command } of descendantsOf(coordinator.pid)) expect(command).not.toContain(token);

  const wrongFile = path.join(runs.root, 'wrong-token');
  writeFileSync(wrongFile, `${token}x`);
  const refusals = await Promise.all([
    join(address, []),
    join(address, ['--token-file', path.join(runs.root, 'absent')]),
    join(address, ['--token-file', wrongFile]),
    join(address, [], { RONDO_TOKEN: 'a-token-of-another-run' }),
  ]);
  expect(refusals.map(({ code }) => code)).toEqual([4, 2, 4, 4]);
  expect(refusals[0].stderr).toMatch(/no token was given.*\n.*--token-file FILE.*RONDO_TOKEN/);
  expect(refusals[1].stderr).toMatch(/the token cannot be read: .*absent/);
  for (const { stderr } of refusals.slice(2))
    expect(stderr).toMatch(/carries a wrong token.*\n.*--token-file/);
  for (const { stderr } of refusals) expect(stderr).not.toContain(token);

  const joined = join(waiting, ['--id', 'guest']);
  const { code, stderr, events } = await coordinator.exited;
  expect(code, stderr).toBe(0);
  expect((await joined).code).toBe(0);
  expect(events.at(-1)).toMatchObject({ kind: 'summary', status: 'completed', steps: 3 });
  expect(existsSync(tokenFile)).toBe(false);
});

it('a run that nobody may join writes its token nowhere', async () => {
  const coordinator = startCoordinator(
    runs.start('closed', data, '--workers', '1', '--max-workers', '1', '--epochs', '1'),
    deadProxies,
  );
  expect(await coordinator.event(({ kind }) => kind === 'waiting')).toMatchObject({ tokenFile: null });
  expect(existsSync(path.join(runs.run('closed'), 'token'))).toBe(false);
  coordinator.kill('SIGINT');
  expect((await coordinator.exited).code).toBe(130);
});
