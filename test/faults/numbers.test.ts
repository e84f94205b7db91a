import { expect } from 'vitest';
import { descendantsOf } from '../../bench/support/processes.js';
import { readCommittedSteps } from '../support/run-files.js';
import { cell, openDisturbedRuns } from './disturbed-run.js';
import type { Fault } from './fault-table.js';

const disturbed = openDisturbedRuns();

interface Course {
  readonly recipe: readonly string[];
  /** The step after which a worker is killed. */
  readonly after: number;
}

/** A run of another recipe. */
function cellOf(fault: Fault, { recipe, after }: Course, requireFault: (run: string) => void): void {
  cell(fault, 'compute', async () => {
    const undisturbed = await disturbed.endOf(...recipe);
    const run = disturbed.start({}, recipe);
    await run.coordinator.event(({ kind, step }) => kind === 'step' && step === after);
    const workers = descendantsOf(run.coordinator.pid);
    process.kill(workers.find(({ command }) => command.includes('--id worker-1'))!.pid, 'SIGKILL');
    await run.expectUnharmed(undisturbed);
    const copies = run.events.flatMap((event) =>
      event.kind === 'recovered' ? (event.copies as object[]) : [],
    );
    expect(copies, 'copies of the state').not.toEqual([]);
    requireFault(disturbed.runs.run(run.name));
  });
}

/** Weights grow tenfold with each step, of either sign. The run waits until the worker is back, which copies them. */
const diverging = ['--lr', '10', '--weight-decay', '0.99', '--min-workers', '2'];

// The first step of every phase overflows too, for nothing is known of its gradients.
cellOf('gradients overflow their grid, and a worker is killed', { recipe: diverging, after: 5 }, (run) => {
  const losses = readCommittedSteps(run).map(({ loss }) => loss!);
  const growth = losses.slice(1).map((loss, index) => loss / losses[index]!);
  expect(Math.max(...growth.slice(5))).toBeGreaterThan(16);
});

cellOf(
  'a loss or gradient is not finite, and a worker is killed',
  { recipe: [...diverging, '--epochs', '4'], after: 17 },
  (run) => {
    expect(readCommittedSteps(run).filter(({ skipped }) => skipped).length).toBeGreaterThan(3);
  },
);
