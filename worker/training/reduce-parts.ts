import { performance } from 'node:perf_hooks';
import type { ReductionLayout } from '../model/program.js';

/** Sums a vector over all ranks, in place: what a step needs of the ring. */
export interface AllReduce {
  allReduce(vector: Float32Array, options: { exactFrom: number; signal: AbortSignal }): Promise<void>;
}

/**
 * Sums a reduction vector over all ranks part by part, each as soon as `computing` says that this rank's is
 * there and the one before has been summed; `beforeLast` may still change the last one. Answers how long the
 * ring was at work, in seconds.
 *
 * @throws what the first part that could not be computed threw, what the ring threw, or the signal's reason;
 * at once, though later parts may still be computed.
 */
export async function reduceParts(
  computing: readonly Promise<void>[],
  {
    ring,
    layout: { parts, exactFrom },
    vector,
    signal,
  }: { ring: AllReduce; layout: ReductionLayout; vector: Float32Array; signal: AbortSignal },
  beforeLast: () => void,
): Promise<number> {
  const ending = new AbortController();
  const onAbort = () => ending.abort(signal.reason);
  signal.addEventListener('abort', onAbort);
  // The ring must not go on for a step that cannot be finished.
  for (const part of computing) part.catch((error) => ending.abort(error));
  let ringMs = 0;
  try {
    for (const [index, { start, end }] of parts.entries()) {
      await computing[index];
      signal.throwIfAborted();
      if (index === parts.length - 1) beforeLast();
      const startedAt = performance.now();
      await ring.allReduce(vector.subarray(start, end), {
        exactFrom: Math.max(0, Math.min(exactFrom, end) - start),
        signal: ending.signal,
      });
      ringMs += performance.now() - startedAt;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  return ringMs / 1000;
}
