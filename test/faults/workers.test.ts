import { readFileSync } from 'node:fs';
import path from 'node:path';
import { descendantsOf } from '../../bench/support/processes.js';
import {
  cell,
  expectCommitted,
  expectLeft,
  expectLost,
  expectSentAway,
  faultsAt,
  openDisturbedRuns,
} from './disturbed-run.js';
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
      // As faultsAt says who it is.
      const worker = phase === 'evaluate' || phase === 'checkpoint' ? 'worker-0' : 'worker-1';
      if (fault === 'SIGTERM' && phase !== 'joining') expectLeft(run, worker);
      if (fault !== 'SIGSTOP') return;
      const log = path.join(disturbed.runs.run(run.name), 'logs', `${worker}.log`);
      if (phase === 'joining') expectSentAway(run, readFileSync(log, 'utf8'));
      else expectLost(run, worker);
    });
  }
}

cellsAt('SIGKILL', 'a worker is killed (SIGKILL)');
cellsAt('SIGSTOP', 'a worker is stopped, and goes on 5 s later (SIGSTOP, SIGCONT; silence limit 3 s)');
cellsAt('SIGTERM', 'a worker is told to leave (SIGTERM)');
cellsAt('slow link', 'every message of a ring is 40 ms late');
cellsAt('CPU share', 'a worker has a fifth of a core');

const waiting = ['--min-workers', '2'];

const short = 'a worker is stopped, and goes on 2 s later, before the silence limit';
for (const phase of faults[short]) {
  cell(short, phase, async () => {
    const file = path.join(disturbed.marks, `short-stop-${phase}`);
    const run = disturbed.start(faultsAt({ fault: 'SIGSTOP', point: phase, seconds: 2, file }));
    await run.expectUnharmed();
    expectCommitted(file);
  });
}

cell('a worker is stopped, and goes on 30 s later; the run waits for it', 'compute', async () => {
  const file = path.join(disturbed.marks, 'long-stop');
  const fault = { fault: 'SIGSTOP', point: 'compute', seconds: 30, file } as const;
  const run = disturbed.start(faultsAt(fault), waiting);
  await run.expectUnharmed();
  expectCommitted(file);
  expectLost(run, 'worker-1');
});

for (const [label, point, worker] of [
  ['a worker that joins is killed (SIGKILL) while it copies the state', 'copying', 'worker-1'],
  ['the worker that another copies the state from is killed (SIGKILL)', 'copied from', 'worker-0'],
] as const) {
  cell(label, 'joining', async () => {
    const files = ['first', 'second'].map((name) => path.join(disturbed.marks, `${point}-${name}`));
    const run = disturbed.start(
      faultsAt(
        // Whoever is started in its place copies the state.
        { fault: 'SIGKILL', point: 'compute', file: files[0]! },
        { fault: 'SIGKILL', point, worker, file: files[1]! },
      ),
      waiting,
    );
    await run.expectUnharmed();
    for (const file of files) expectCommitted(file);
  });
}

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
