import { expect, it } from 'vitest';
import { descendantsOf } from '../../bench/support/processes.js';
import { runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { readSummaryFile } from '../support/run-files.js';
import { openTinyRuns } from '../support/tiny-runs.js';

const runs = await openTinyRuns(42); // 101 training images: 5 steps an epoch, the last one of 21

it('a run goes back to its newest checkpoint when its only worker is killed', async () => {
  const coordinator = startCoordinator(runs.start('alone', runs.data, '--workers', '1', '--epochs', '2'));
  await coordinator.event((event) => event.kind === 'step' && event.step === 6);
  const worker = descendantsOf(coordinator.pid).find(({ command }) => command.includes('--id worker-0'))!;
  process.kill(worker.pid, 'SIGKILL');
  const { code, events, stderr } = await coordinator.exited;
  expect(code, stderr).toBe(0);
  // The checkpoint of the first epoch may have been on its way out of the worker.
  const [{ toStep }] = events.filter((event) => event.kind === 'rolled-back');
  expect([0, 5]).toContain(toStep);
  expect(readSummaryFile(runs.run('alone'))).toMatchObject({ status: 'completed', steps: 10 });
  const verified = await runCoordinator(['verify-run', runs.run('alone')]);
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
});
