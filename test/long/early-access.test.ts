import { existsSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { freePort } from '../../bench/support/free-port.js';
import { descendantsOf } from '../../bench/support/processes.js';
import {
  type CoordinatorProcess,
  type JsonEvent,
  runCoordinator,
  startCoordinator,
} from '../support/coordinator-process.js';
import { readStateDigest } from '../support/run-files.js';
import { forgetFindings, padImages } from '../support/tiny-folder.js';
import { openTinyRuns } from '../support/tiny-runs.js';
import { joinWorker, type WorkerProcess } from '../support/worker-process.js';

// Workers that join while the images are verified, whose runs begin otherwise than at once: all end with the same
// weights.

const runs = await openTinyRuns(20);
const { data } = runs;
const recipe = ['--workers', '1', '--epochs', '2', '--threads', '1'];
let digest: string;
let place: string[];

const digestOf = (name: string) => readStateDigest(path.join(runs.run(name), 'checkpoints', 'epoch-0001'));

beforeAll(async () => {
  padImages(data);
  const { code, stderr } = await runCoordinator(runs.start('alone', data, ...recipe));
  expect(code, stderr).toBe(0);
  digest = digestOf('alone');
});
beforeEach(async () => {
  forgetFindings(data);
  const port = await freePort();
  place = ['--local-workers', '0', '--listen', `0.0.0.0:${port}`, '--advertise', `127.0.0.1:${port}`];
});

/** With it a process stops at the first image that it verifies, and makes the file `once` names. */
function stuck(once?: string): Record<string, string> {
  return {
    NODE_OPTIONS: `--import ${new URL('../support/crash-at-image.mjs', import.meta.url).href}`,
    ...{ RONDO_TEST_CRASH: 'SIGSTOP', RONDO_TEST_CRASH_AT: '/' },
    ...(once === undefined ? {} : { RONDO_TEST_CRASH_ONCE: once }),
  };
}

/** By what the coordinator printed, from a machine that has no images unless it says otherwise. */
function join(waiting: JsonEvent, more: readonly string[], environment = {}): WorkerProcess {
  const { token, hash } = (waiting.joining ?? {}) as { token?: string; hash?: string };
  const inputs = token === undefined ? more : ['--token', token, '--ca-hash', hash!, ...more];
  const run = token === undefined ? waiting : (waiting.address as string);
  return joinWorker(run, { inputs, environment: { RONDO_LOG: 'info', ...environment } });
}

async function expectTrained(name: string, coordinator: CoordinatorProcess, guest: WorkerProcess) {
  const { code, stderr } = await coordinator.exited;
  expect(code, stderr).toBe(0);
  expect((await guest.exited).code).toBe(0);
  expect(digestOf(name)).toBe(digest);
}

it('go on with a coordinator that takes the place of one that was killed meanwhile', async () => {
  const start = runs.start('killed', data, ...recipe, ...place);
  const first = startCoordinator(start, stuck());
  const asked = path.join(runs.root, 'asked');
  const guest = join(await first.event(({ kind }) => kind === 'waiting'), [], stuck(asked));
  await expect.poll(() => existsSync(asked), { timeout: 120_000 }).toBe(true);
  // The process that is stuck outlives it.
  const verifying = descendantsOf(first.pid);
  first.kill('SIGKILL');
  await first.exited;
  for (const { pid } of verifying) process.kill(pid, 'SIGKILL');
  await expectTrained('killed', startCoordinator(start), guest);
});

it('verify images and train without encryption', async () => {
  const coordinator = startCoordinator(
    runs.start('insecure', data, ...recipe, ...place, '--insecure'),
    stuck(),
  );
  const waiting = await coordinator.event(({ kind }) => kind === 'waiting');
  const guest = join(waiting, ['--insecure', '--data-root', path.join(data, 'nowhere')]);
  await guest.printed(/"event":"verified images for the coordinator","asked":\d+,"sent":60/);
  await expectTrained('insecure', coordinator, guest);
});

it('verify the images of a run that is resumed', async () => {
  const begun = startCoordinator(runs.start('resumed', data, ...recipe, '--checkpoint-steps', '1'));
  await begun.event(({ kind }) => kind === 'step');
  begun.kill('SIGINT');
  expect((await begun.exited).code).toBe(130);
  forgetFindings(data);
  const again = startCoordinator(runs.resume('resumed', ...place), stuck());
  const waiting = await again.event(({ kind }) => kind === 'waiting');
  const guest = join(waiting, ['--data-root', path.join(data, 'nowhere')]);
  await guest.printed(/"event":"verified images for the coordinator","asked":\d+,"sent":60/);
  await expectTrained('resumed', again, guest);
});
