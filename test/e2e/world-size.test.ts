import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { expectAlike, openAlikeRuns, type Trained } from '../support/alike-runs.js';
import { joinWorker, type WorkerExit } from '../support/worker-process.js';

const { train, trainWorlds } = await openAlikeRuns();

/** A namespace of its own for mounts, and so for shared memory: as another machine has. */
const elsewhere = ['-rm', 'sh', '-c', 'mount -t tmpfs tmpfs /dev/shm && exec "$@"', 'sh'];
const canBeElsewhere = spawnSync('unshare', [...elsewhere, 'true']).status === 0;

/** Four workers, of which two share memory with each other alone: their neighbours reach them over gRPC. */
async function trainApart(wire: string): Promise<Trained> {
  const ended: Promise<WorkerExit>[] = [];
  const both = '"$@" --id guest-1 & "$@" --id guest-2; wait';
  const trained = await train({
    name: 'apart',
    inputs: ['--workers', '4', '--local-workers', '2', '--wire', wire],
    bring(waiting) {
      const { exited } = joinWorker(waiting, {
        wrap: (command) => ['unshare', ...elsewhere, 'sh', '-c', both, 'sh', ...command],
        // The run's own number of threads counts.
        environment: { TF_NUM_INTRAOP_THREADS: '2', OMP_NUM_THREADS: '2' },
      });
      ended.push(exited);
    },
  });
  expect(await Promise.all(ended)).toMatchObject([{ code: 0 }]);
  return trained;
}

// On one wire each: all of one to four, which share memory, and four of which only two pairs do. The long test of this
// name has all of them on both.
it.each(['float32', 'bfloat16'])(
  'one, two, three and four workers train to the same state, bit for bit, wherever they are (%s)',
  async (wire) => {
    const apart = wire === 'bfloat16' && canBeElsewhere;
    const trained = await trainWorlds(wire, wire === 'float32' ? [1, 2, 3, 4] : apart ? [1] : [1, 4]);
    if (apart) trained.push(await trainApart(wire));
    expectAlike(trained);
  },
);
