import { rmSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { descendantsOf, isAlive } from '../../bench/support/processes.js';
import { killCoordinators, runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { openQuickRuns } from '../support/quick-run.js';
import { readSummaryFile } from '../support/run-files.js';
import { drawTinyFolder } from '../support/tiny-folder.js';

const runs = openQuickRuns();
let data: string;

beforeAll(async () => {
  data = await drawTinyFolder(42);
});
afterEach(killCoordinators);
afterAll(() => {
  runs.remove();
  rmSync(data, { recursive: true, force: true });
});

it('ends workers and NATS when no coordinator takes the place of one that died, and resumes the run then', async () => {
  const inputs = runs.start('alone', data, '--workers', '2', '--epochs', '4', '--silence-limit', '2');
  const coordinator = startCoordinator(inputs);
  await coordinator.event((event) => event.kind === 'checkpoint');
  const processes = descendantsOf(coordinator.pid);
  coordinator.kill('SIGKILL');
  await coordinator.exited;
  const isLeft = (word: string) =>
    processes.some(({ pid, command }) => command.includes(word) && isAlive(pid));
  expect([isLeft('worker/main.js join'), isLeft('nats-server')]).toEqual([true, true]);
  await expect.poll(() => processes.some(({ pid }) => isAlive(pid)), { timeout: 240_000 }).toBe(false);
  const { code, stderr } = await runCoordinator(runs.resume('alone'));
  expect(code, stderr).toBe(0);
  expect(readSummaryFile(runs.run('alone'))).toMatchObject({ status: 'completed', steps: 20 });
});
