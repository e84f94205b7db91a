import { usableCores } from '../../runtime/cores.js';

/** As many as worker/collective's reduction vectors have room for. */
const maxLanes = 4;

/**
 * Lanes of the ring for each worker: one, and one more for every core of its share that its computing threads
 * leave idle.
 */
export function chooseLanes(
  { localWorkers, threads }: { localWorkers: number; threads: number },
  cores = usableCores(),
): number {
  const workers = Math.max(1, localWorkers);
  const idle = Math.floor(cores / workers) - threads;
  return Math.min(Math.max(1 + idle, 1), maxLanes);
}
