import { performance } from 'node:perf_hooks';
import type { ReductionLayout, Summary } from '../model/program.js';

/** What a step needs of the ring. */
export interface StepRing {
  /** Replaces the int32 values of a vector by their sums over all ranks, float32. */
  allReduce(vector: Float32Array, options: { signal: AbortSignal }): Promise<void>;
  /** Every rank's bytes, by rank. */
  allGather(bytes: Uint8Array, options: { signal: AbortSignal }): Promise<Uint8Array[]>;
}

/** What a rank asks of all ranks at a step's end; one that asks is enough. */
export interface Requests {
  /** To take no more steps. */
  readonly stop: boolean;
  /** To keep the state with which they stop. */
  readonly keep: boolean;
  /** To take a snapshot. */
  readonly snapshot: boolean;
}

export interface ReducedParts extends Requests {
  /** All ranks', by rank. */
  readonly summaries: readonly Summary[];
  /** How long the ring was at work. */
  readonly ringSeconds: number;
}

/**
 * Sums a step's vector over all ranks part by part, each as soon as `computing` says that this rank's is there
 * and the one before has been summed; then the ranks tell each other their summaries, with which the last part
 * comes, and what they ask of all, so that all learn of it at the same step.
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
  requests: () => Requests,
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
    const message = encodeMessage(own!, requests());
    const told = await timed(() => ring.allGather(message, { signal: ending.signal }));
    const messages = told.map((bytes) => decodeMessage(bytes, gradients.length));
    return {
      summaries: messages.map(({ summary }) => summary),
      stop: messages.some(({ stop }) => stop),
      keep: messages.some(({ keep }) => keep),
      snapshot: messages.some(({ snapshot }) => snapshot),
      ringSeconds: ringMs / 1000,
    };
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * float32: the requests, 1 for each that is made, else 0; how many micro-batches there are; the magnitudes; the
 * micro-batches; the rows.
 */
function encodeMessage(
  { largest, microBatches, rows }: Summary,
  { stop, keep, snapshot }: Requests,
): Uint8Array {
  const head = [Number(stop), Number(keep), Number(snapshot), microBatches.length];
  return new Uint8Array(Float32Array.from([...head, ...largest, ...microBatches, ...rows]).buffer);
}

function decodeMessage(bytes: Uint8Array, gradients: number): Requests & { readonly summary: Summary } {
  const message = new Float32Array(bytes.slice().buffer);
  const [stop, keep, snapshot] = Array.from(message.subarray(0, 3), (asked) => asked === 1);
  const magnitudesEnd = 4 + gradients;
  const rowsStart = magnitudesEnd + message[3]!;
  const summary = {
    largest: message.subarray(4, magnitudesEnd),
    microBatches: [...message.subarray(magnitudesEnd, rowsStart)],
    rows: message.subarray(rowsStart),
  };
  return { summary, stop: stop!, keep: keep!, snapshot: snapshot! };
}
