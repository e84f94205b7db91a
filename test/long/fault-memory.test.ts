import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { descendantsOf, isAlive } from '../../bench/support/processes.js';
import { runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { openTinyRuns } from '../support/tiny-runs.js';

const runs = await openTinyRuns(50);
const { data } = runs;
/** 120 training images in steps of 8: 15 an epoch, 1,005 in all; a fault after every 33rd. */
const [epochs, stepsPerEpoch, between, faults] = [67, 15, 33, 30];
/** Caches and arenas are filled by the first of these; a collection now and then makes a dip, so that medians count. */
const [early, late] = [
  [8, 15],
  [23, 30],
] as const;
/** By so much may the median rise between them. */
const growth = 1.1;

/** Memory of a process that nothing else shares, in KiB. */
function privateMemory(pid: number): number {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
}

it('1,000 steps with 30 faults leave memory as it was', async () => {
  const small = ['--workers', '2', '--epochs', String(epochs), '--batch-size', '8', '--silence-limit', '2'];
  const coordinator = startCoordinator(runs.start('long', data, ...small));
  const find = (id: string) =>
    descendantsOf(coordinator.pid).find(({ command }) => command.includes(`--id ${id}`))!.pid;
  const used: { coordinator: number; worker: number }[] = [];
  for (let fault = 1; fault <= faults; fault += 1) {
    await coordinator.event(({ kind, step }) => kind === 'step' && step === fault * between - 1);
    used.push({ coordinator: privateMemory(coordinator.pid), worker: privateMemory(find('worker-0')) });
    // It is killed; or stands still until it is lost, and joins anew.
    const victim = find('worker-1');
    if (fault % 2 === 0) process.kill(victim, 'SIGKILL');
    else {
      process.kill(victim, 'SIGSTOP');
      setTimeout(() => isAlive(victim) && process.kill(victim, 'SIGCONT'), 4_000);
    }
    // Two of the same step would be one fault.
    await coordinator.event(({ kind, step }) => kind === 'recovered' && Number(step) >= fault * between);
    // After the last one the run may be over sooner.
    if (fault === faults) break;
    await coordinator.event(
      ({ kind, worldSize, step }) =>
        kind === 'recovered' && worldSize === 2 && Number(step) >= fault * between,
    );
  }
  const { code, events, stderr } = await coordinator.exited;
  expect(code, stderr).toBe(0);
  expect(events.filter(({ kind }) => kind === 'worker-lost').length).toBeGreaterThanOrEqual(faults);
  expect(events.filter(({ kind }) => kind === 'step').length).toBeGreaterThanOrEqual(epochs * stepsPerEpoch);
  const verified = await runCoordinator(['verify-run', runs.run('long')]);
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
  for (const process of ['coordinator', 'worker'] as const) {
    const all = used.map((each) => each[process]);
    const [before, after] = [early, late].map(([from, to]) => median(all.slice(from - 1, to)));
    expect(after, `${process}: ${all.join(', ')} KiB`).toBeLessThan(growth * before!);
  }
});

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
