import { usableCores } from '../../runtime/cores.js';
import { divideThreads } from './worker-environment.js';

/** As many as worker/collective's reduction vectors have room for. */
const maxLanes = 4;

/**
 * Lanes of the ring for each worker: one, and one more for every core of its share that its computing threads
 * leave idle. `threads` is null when the cores are divided among the workers.
 */
export function chooseLanes(
  { localWorkers, threads }: { localWorkers: number; threads: number | null },
  cores = usableCores(),
): number {
  const workers = Math.max(1, localWorkers);
  const idle = Math.floor(cores / workers) - (threads ?? divideThreads(workers, cores));
  return Math.min(Math.max(1 + idle, 1), maxLanes);
}
