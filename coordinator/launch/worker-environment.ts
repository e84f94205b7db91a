import { usableCores } from '../../runtime/cores.js';
import { poolThreadsPerCore } from '../../runtime/limiter.js';

/**
 * Freed memory of this size stays with the process (glibc): fetched reduction vectors are tens of megabytes,
 * and half of the time to read one is page faults of fresh memory.
 */
const keptBytes = 2 ** 30;

/**
 * Node's own arguments for a worker, which the first line of worker/main.ts repeats. Images and pieces of
 * checkpoints lie outside the JavaScript heap, but count as if they grew it: without this (in MB), all of the
 * heap is searched for garbage after every 60 images.
 */
export const workerNodeArguments: readonly string[] = ['--initial-old-space-size=128'];

/**
 * Names HOST:PORT through which the workers that a coordinator starts reach it, where something stands between them,
 * as in `coordinator chaos`.
 */
export const relayVariable = 'RONDO_RELAY';

/** Threads of each of `count` workers that share this machine's cores. */
export function divideThreads(count: number, cores = usableCores()): number {
  return Math.max(1, Math.floor(cores / count));
}

/**
 * What a local worker's process is started with. TensorFlow and libuv read all of this once, at their start.
 * `base` is the environment it inherits: memory settings in it win, threads and device do not.
 *
 * @param gpus values for CUDA_VISIBLE_DEVICES, shared out in turn; none hides every GPU.
 */
export function workerEnvironment(
  base: NodeJS.ProcessEnv,
  options: { index: number; threads: number; gpus: readonly string[] },
): NodeJS.ProcessEnv {
  const { index, threads, gpus } = options;
  return {
    MALLOC_MMAP_THRESHOLD_: String(keptBytes),
    MALLOC_TRIM_THRESHOLD_: String(2 * keptBytes),
    ...base,
    TF_NUM_INTRAOP_THREADS: String(threads),
    TF_NUM_INTEROP_THREADS: '1',
    OMP_NUM_THREADS: String(threads),
    UV_THREADPOOL_SIZE: String(poolThreadsPerCore * threads),
    CUDA_VISIBLE_DEVICES: gpus.length === 0 ? '' : gpus[index % gpus.length]!,
  };
}
