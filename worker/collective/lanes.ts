import assert from 'node:assert/strict';
import { type PlainError, RondoError } from '../../runtime/errors.js';
import { startThread } from '../../runtime/thread-calls.js';
import { workspaceOf } from '../arithmetic/reduction-vector.js';
import type { Lane, RingOptions } from './all-reduce.js';
import type { Ring } from './rounds.js';

/** What a lane's thread does. It sums one vector at a time. */
export interface LaneOperations {
  /**
   * Serves on HOST:PORT, port 0 taking a free one, whoever has the run's token; gives the address. `waitMs` as
   * of an exchange.
   */
  listen(o: { readonly address: string; readonly token: string; readonly waitMs: number }): Promise<string>;
  /** Joins the ring of a generation, until `end`. @throws RondoError as `Exchange.openLink`. */
  open(o: { readonly predecessorAddress: string; readonly ring: LaneRing }): Promise<void>;
  sum(o: {
    /** Only the first time that the thread hears of it. */
    readonly memory: WebAssembly.Memory | undefined;
    readonly memoryId: number;
    readonly byteOffset: number;
    readonly length: number;
  }): Promise<void>;
  /** Has the sum that is under way fail with `error`. */
  interrupt(error: PlainError): void;
  /** Has the generation's ring fail with `error`. */
  end(error: PlainError): void;
}

export type LaneRing = RingOptions & { readonly lane: Lane };

/** Sums what lies in the blocks of one lane. */
export type LaneOfRing = Pick<Ring, 'allReduce'>;

/** A thread that carries one lane of the ring, for as long as the process lives. */
export interface LaneThread {
  /** HOST:PORT that the successor's lane pulls from. */
  readonly address: string;
  /**
   * Joins the lane's ring of a generation, which ends when `signal` aborts. @throws RondoError as
   * `Exchange.openLink`.
   */
  openRing(o: { ring: LaneRing; predecessorAddress: string; signal: AbortSignal }): Promise<LaneOfRing>;
  /** Safe to call twice. */
  destroy(): Promise<void>;
}

const laneProgram = new URL('./lane-thread.js', import.meta.url);

/**
 * @param o as `LaneOperations.listen`.
 * @throws RondoError when the thread cannot listen.
 */
export async function startLaneThread(
  o: Parameters<LaneOperations['listen']>[0],
  program: URL = laneProgram,
): Promise<LaneThread> {
  const { calls, destroy } = startThread<LaneOperations>(program, {
    what: "a lane's thread",
    operations: { listen: true, open: true, sum: true, interrupt: true, end: true },
  });
  const memoryIds = new Map<WebAssembly.Memory, number>();

  const sum: LaneOfRing['allReduce'] = async (vector, { signal }) => {
    const memory = workspaceOf(vector)?.memory;
    assert(memory !== undefined, 'what lanes sum is a reduction vector');
    const isKnown = memoryIds.has(memory);
    const memoryId = memoryIds.get(memory) ?? memoryIds.size;
    memoryIds.set(memory, memoryId);
    const { byteOffset, length } = vector;
    const summed = calls.sum({ memory: isKnown ? undefined : memory, memoryId, byteOffset, length });
    const stop = onAbort(signal, calls.interrupt);
    await summed.finally(stop);
  };

  try {
    return {
      address: await calls.listen(o),
      async openRing({ ring, predecessorAddress, signal }) {
        // A generation may bring vectors of its own; those before are let go.
        memoryIds.clear();
        const opened = calls.open({ predecessorAddress, ring });
        onAbort(signal, calls.end);
        await opened;
        return { allReduce: sum };
      },
      destroy,
    };
  } catch (error) {
    await destroy();
    throw error;
  }
}

/** Tells the thread of an abort, once; a thread that has ended need not know. The answer stops waiting for it. */
function onAbort(signal: AbortSignal, tell: (error: PlainError) => Promise<void>): () => void {
  const pass = () => void tell(plain(signal)).catch(() => {});
  if (signal.aborted) pass();
  signal.addEventListener('abort', pass, { once: true });
  return () => signal.removeEventListener('abort', pass);
}

function plain(signal: AbortSignal): PlainError {
  const { reason } = signal;
  const error =
    reason instanceof RondoError ? reason : new RondoError('aborted', 'the generation was aborted');
  return error.toPlain();
}
