import path from 'node:path';
import { descendantsOf } from '../../bench/support/processes.js';
import { cell, expectCommitted, faultsAt, openDisturbedRuns } from './disturbed-run.js';
import { type Fault, faults, type Phase } from './fault-table.js';

const disturbed = openDisturbedRuns();

/** Cells whose fault a worker commits itself, at a point of its program. */
function cellsAt(fault: string, label: Fault): void {
  for (const phase of faults[label] as readonly Phase[]) {
    cell(label, phase, async () => {
      const file = path.join(disturbed.marks, `${fault}-${phase}`);
      const run = disturbed.start(faultsAt({ fault, point: phase, file }));
      await run.expectUnharmed();
      expectCommitted(file);
    });
  }
}

cellsAt('SIGKILL', 'a worker is killed (SIGKILL)');
cellsAt('SIGSTOP', 'a worker is stopped, and goes on 5 s later (SIGSTOP, SIGCONT; silence limit 3 s)');
cellsAt('SIGTERM', 'a worker is told to leave (SIGTERM)');
cellsAt('slow link', 'every message of a ring is 40 ms late');
cellsAt('CPU share', 'a worker has a fifth of a core');

const stale = 'a worker repeats its reports under an earlier generation';
cell(stale, 'compute', async () => {
  const file = path.join(disturbed.marks, 'stale');
  const run = disturbed.start(
    faultsAt({ fault: 'stale generation', point: 'compute', worker: 'worker-0', file }),
  );
  await run.coordinator.event(({ kind, step }) => kind === 'step' && step === 1);
  // So that there is an earlier one.
  const other = descendantsOf(run.coordinator.pid).find(({ command }) => command.includes('--id worker-1'));
  process.kill(other!.pid, 'SIGKILL');
  await run.expectUnharmed();
  expectCommitted(file);
});

const label = 'the coordinator is killed (SIGKILL), and another takes its place';
for (const phase of faults[label]) {
  cell(label, phase, async () => {
    const file = path.join(disturbed.marks, `coordinator-${phase}`);
    const run = disturbed.start(faultsAt({ fault: 'coordinator', point: phase, file }));
    const { signal } = await run.exited();
    expectCommitted(file);
    if (signal !== 'SIGKILL') throw new Error(`the coordinator was not killed: ${signal}`);
    run.resume();
    await run.expectUnharmed();
  });
}
