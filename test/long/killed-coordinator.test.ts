import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { descendantsOf, isAlive } from '../../bench/support/processes.js';
import { runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { readMetrics, readSummaryFile } from '../support/run-files.js';
import { openTinyRuns } from '../support/tiny-runs.js';

const runs = await openTinyRuns(42); // 101 training images: 5 steps an epoch, the last one of 21
const { data } = runs;

it('a run goes on as it was when the coordinator is killed and another takes its place', async () => {
  const straight = await runCoordinator(runs.start('straight', data, '--workers', '2', '--epochs', '4'));
  expect(straight.code, straight.stderr).toBe(0);
  const { parameterDigest } = readSummaryFile(runs.run('straight'));
  const first = startCoordinator(runs.start('left', data, '--workers', '2', '--epochs', '4'));
  await first.event((event) => event.kind === 'step' && event.step === 1);
  const processes = descendantsOf(first.pid);
  const workers = processes.filter(({ command }) => command.includes('worker/main.js join'));
  expect(workers).toHaveLength(2);
  first.kill('SIGKILL');
  const { events: before } = await first.exited;
  const last = before.filter((event) => event.kind === 'step').length - 1;
  // Their logs say so when they have noticed it.
  const logs = [0, 1].map((index) => path.join(runs.run('left'), 'logs', `worker-${index}.log`));
  const isNoticed = (log: string) => readFileSync(log, 'utf8').includes('looking for it again');
  await expect.poll(() => logs.every(isNoticed)).toBe(true);

  const second = startCoordinator(runs.resume('left'));
  const recovered = await second.event((event) => event.kind === 'recovered');
  expect(recovered).toMatchObject({ causes: [{ kind: 'restart' }], generation: 1, stepsRedone: 0 });
  for (const { pid } of workers) expect(isAlive(pid)).toBe(true);
  const { code, events, stderr } = await second.exited;
  expect(code, stderr).toBe(0);
  for (const { pid } of processes) expect(isAlive(pid)).toBe(false);
  // The workers took the next steps by themselves.
  const own = events.flatMap((event) => (event.kind === 'step' ? [Number(event.step)] : []));
  // One more may have been recorded than was told.
  expect([last + 1, last + 2]).toContain(own[0]);
  expect(own).toEqual(Array.from({ length: 20 - own[0] }, (_, index) => own[0] + index));
  expect(readSummaryFile(runs.run('left'))).toMatchObject({
    ...{ status: 'completed', steps: 20, recoveries: 1, parameterDigest },
  });
  const ofWorkers = readMetrics(runs.run('left'), 'worker-step');
  expect(ofWorkers.map(({ worker, step }) => `${worker} ${step}`).sort()).toEqual(
    ['worker-0', 'worker-1'].flatMap((id) => Array.from({ length: 20 }, (_, step) => `${id} ${step}`)).sort(),
  );
  const verified = await runCoordinator(['verify-run', runs.run('left')]);
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
});
