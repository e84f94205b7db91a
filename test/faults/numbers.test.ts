import { expect } from 'vitest';
import { descendantsOf } from '../support/processes.js';
import { readCommittedSteps } from '../support/run-files.js';
import { cell, openDisturbedRuns } from './disturbed-run.js';
import type { Fault } from './fault-table.js';

const disturbed = openDisturbedRuns();

/** A run of another recipe, in which a worker is killed after its third step. */
function cellOf(fault: Fault, recipe: readonly string[], requireFault: (run: string) => void): void {
  cell(fault, 'compute', async () => {
    const undisturbed = await disturbed.endOf(...recipe);
    const run = disturbed.start({}, recipe);
    await run.coordinator.event(({ kind, step }) => kind === 'step' && step === 3);
    const workers = descendantsOf(run.coordinator.pid);
    process.kill(workers.find(({ command }) => command.includes('--id worker-1'))!.pid, 'SIGKILL');
    await run.expectUnharmed(undisturbed);
    requireFault(disturbed.runs.run(run.name));
  });
}

cellOf('a loss or gradient is not finite, and a worker is killed', ['--lr', '1e8'], (run) => {
  expect(readCommittedSteps(run).filter(({ skipped }) => skipped).length).toBeGreaterThan(0);
});

// The first step of every phase overflows, for nothing is known of its gradients; with such rates others do too.
cellOf('gradients overflow their grid, and a worker is killed', ['--lr', '30'], (run) => {
  const losses = readCommittedSteps(run).map(({ loss }) => loss ?? Number.POSITIVE_INFINITY);
  expect(Math.max(...losses) / losses[0]!).toBeGreaterThan(32);
});
