import { existsSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { runCoordinator } from '../support/coordinator-process.js';
import { expectCommitted, type FaultAtPoint, faultsAt, openDisturbedRuns } from './disturbed-run.js';

const disturbed = openDisturbedRuns();
/** Long enough for four faults. Who is alone waits: else the other's return would take as many steps as it likes. */
const recipe = ['--epochs', '6', '--min-workers', '2'];

type Planned = Omit<FaultAtPoint, 'file'>;

/** What happens most often, where it is hardest; together, so that `npm test` has the time for it. */
const dozen: readonly (readonly Planned[])[] = [
  [
    { fault: 'SIGKILL', point: 'compute' },
    // It is the one that is started in its place.
    { fault: 'SIGKILL', point: 'joining' },
    { fault: 'SIGKILL', point: 'all-gather', worker: 'worker-0' },
    { fault: 'SIGKILL', point: 'evaluate' },
  ],
  [
    { fault: 'SIGSTOP', point: 'compute' },
    { fault: 'SIGKILL', point: 'reduce-scatter' },
    { fault: 'SIGKILL', point: 'checkpoint' },
    { fault: 'SIGTERM', point: 'all-gather', worker: 'worker-0' },
  ],
  [
    { fault: 'SIGTERM', point: 'evaluate' },
    { fault: 'SIGSTOP', point: 'all-gather', worker: 'worker-0' },
    { fault: 'SIGKILL', point: 'apply' },
    { fault: 'coordinator', point: 'checkpoint' },
  ],
];

/** Has a run start a worker in the place of one that is told to leave. */
async function replaceLeaver(run: string, { file }: FaultAtPoint): Promise<void> {
  const patience = { timeout: 300_000, interval: 500 };
  await expect.poll(() => existsSync(file), patience).toBe(true);
  const start = async () => {
    const { events } = await runCoordinator(['scale', run, '2', '--no-wait', '--json']);
    return events[0]?.starting;
  };
  // Nobody is missing before it is gone.
  await expect.poll(start, patience).toEqual(['worker-0']);
}

function describeFault({ fault, point }: Planned): string {
  return fault === 'coordinator' ? `SIGKILL of the coordinator at ${point}` : `${fault} at ${point}`;
}

for (const [index, planned] of dozen.entries()) {
  const name = planned.map(describeFault).join(', ');
  it(`ends with the bits of an undisturbed run, after ${name}`, async () => {
    const undisturbed = await disturbed.endOf(...recipe);
    const faults = planned.map((fault, at) => ({
      ...fault,
      file: path.join(disturbed.marks, `dozen-${index}-${at}`),
    }));
    const run = disturbed.start(faultsAt(...faults), recipe);
    for (const fault of faults) {
      if (fault.fault === 'SIGTERM') await replaceLeaver(disturbed.runs.run(run.name), fault);
    }
    if (planned.at(-1)!.fault === 'coordinator') {
      expect((await run.exited()).signal).toBe('SIGKILL');
      run.resume();
    }
    await run.expectUnharmed(undisturbed);
    for (const { file } of faults) expectCommitted(file);
  });
}
