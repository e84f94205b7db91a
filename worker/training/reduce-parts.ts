import { performance } from 'node:perf_hooks';
import type { ReductionLayout, Summary } from '../model/program.js';

/** What a step needs of the ring. */
export interface StepRing {
  /** Replaces the int32 values of a vector by their sums over all ranks, float32. */
  allReduce(vector: Float32Array, options: { signal: AbortSignal }): Promise<void>;
  /** Every rank's bytes, by rank. */
  allGather(bytes: Uint8Array, options: { signal: AbortSignal }): Promise<Uint8Array[]>;
}

export interface ReducedParts {
  /** All ranks', by rank. */
  readonly summaries: readonly Summary[];
  /** Whether some rank asks to stop. */
  readonly stop: boolean;
  /** How long the ring was at work. */
  readonly ringSeconds: number;
}

/**
 * Sums a step's vector over all ranks part by part, each as soon as `computing` says that this rank's is there
 * and the one before has been summed; then the ranks tell each other their summaries, with which the last part
 * comes, and whether they want to stop, so that all learn of it at the same step.
 *
 * @throws what the first part that could not be computed threw, what the ring threw, or the signal's reason;
 * at once, though later parts may still be computed.
 */
export async function reduceParts(
  computing: readonly Promise<Summary | null>[],
  {
    ring,
    layout: { parts, gradients, gradientLength },
    vector,
    signal,
  }: { ring: StepRing; layout: ReductionLayout; vector: Float32Array; signal: AbortSignal },
  stopRequested: () => boolean,
): Promise<ReducedParts> {
  const ending = new AbortController();
  const onAbort = () => ending.abort(signal.reason);
  signal.addEventListener('abort', onAbort);
  // The ring must not go on for a step that cannot be finished.
  for (const part of computing) part.catch((error) => ending.abort(error));
  let ringMs = 0;
  let own: Summary | null = null;
  const timed = async <T>(work: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    const result = await work();
    ringMs += performance.now() - startedAt;
    return result;
  };
  try {
    for (const [index, { start, end }] of parts.entries()) {
      own = await computing[index]!;
      signal.throwIfAborted();
      const part = vector.subarray(start, Math.min(end, gradientLength));
      await timed(() => ring.allReduce(part, { signal: ending.signal }));
    }
    signal.throwIfAborted();
    const message = encodeMessage(own!, stopRequested());
    const told = await timed(() => ring.allGather(message, { signal: ending.signal }));
    const messages = told.map((bytes) => decodeMessage(bytes, gradients.length));
    return {
      summaries: messages.map(({ summary }) => summary),
      stop: messages.some(({ stop }) => stop),
      ringSeconds: ringMs / 1000,
    };
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** float32: 1 to stop, else 0; the magnitudes; the rows. */
function encodeMessage({ largest, rows }: Summary, stop: boolean): Uint8Array {
  const message = new Float32Array(1 + largest.length + rows.length);
  message[0] = stop ? 1 : 0;
  message.set(largest, 1);
  message.set(rows, 1 + largest.length);
  return new Uint8Array(message.buffer);
}

function decodeMessage(bytes: Uint8Array, gradients: number): { summary: Summary; stop: boolean } {
  const message = new Float32Array(bytes.slice().buffer);
  const [largest, rows] = [message.subarray(1, 1 + gradients), message.subarray(1 + gradients)];
  return { summary: { largest, rows }, stop: message[0] === 1 };
}
