import { expect, it } from 'vitest';
import { descendantsOf, isAlive } from '../../bench/support/processes.js';
import { runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { readSummaryFile } from '../support/run-files.js';
import { openTinyRuns } from '../support/tiny-runs.js';

const runs = await openTinyRuns(42);
const { data } = runs;

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
