import assert from 'node:assert/strict';
import type { RingTransport } from '../../plan/run-config.js';
import { type PlainError, RondoError } from '../../runtime/errors.js';
import type { CertificateIdentity, Identity } from '../../runtime/grpc/credentials.js';
import { startThread } from '../../runtime/thread-calls.js';
import { workspaceOf } from '../arithmetic/reduction-vector.js';
import type { Lane, RingOptions } from './all-reduce.js';
import type { Ring } from './rounds.js';

/** What a lane's thread does. It sums one vector at a time. */
export interface LaneOperations {
  /** Serves the members of the run on HOST:PORT, port 0 taking a free one; gives the address. */
  listen(o: LaneAddress): Promise<string>;
  /** From now on new connections prove this. */
  renew(identity: CertificateIdentity): void;
  /** Joins the ring of a generation, until `end`. @throws RondoError as `Exchange.openLink`. */
  open(o: LanePlace): Promise<void>;
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

export interface LaneAddress {
  /** HOST:PORT to listen on. */
  readonly address: string;
  /** The host that others reach it by, when it is another. */
  readonly advertise: string | null;
  readonly identity: Identity;
  /** As of an exchange. */
  readonly waitMs: number;
}

interface LanePlace {
  readonly predecessorAddress: string;
  /** By rank of the generation: what the neighbours' certificates must say. */
  readonly names: readonly string[];
  readonly transport: RingTransport;
  /** Ranks of the generation that the ring goes around, in order. */
  readonly ranks: readonly number[];
  /** Its place in that ring. */
  readonly ring: LaneRing;
}

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
  openRing(o: LanePlace & { readonly signal: AbortSignal }): Promise<LaneOfRing>;
  /** From now on new connections prove this. Never rejects. */
  renew(identity: CertificateIdentity): void;
  /** Safe to call twice. */
  destroy(): Promise<void>;
}

const laneProgram = new URL('./lane-thread.js', import.meta.url);

/**
 * @param o as `LaneOperations.listen`.
 * @throws RondoError when the thread cannot listen.
 */
export async function startLaneThread(o: LaneAddress, program: URL = laneProgram): Promise<LaneThread> {
  const { calls, destroy } = startThread<LaneOperations>(program, {
    what: "a lane's thread",
    operations: { listen: true, renew: true, open: true, sum: true, interrupt: true, end: true },
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
      async openRing({ signal, ...place }) {
        // A generation may bring vectors of its own; those before are let go.
        memoryIds.clear();
        const opened = calls.open(place);
        onAbort(signal, calls.end);
        await opened;
        return { allReduce: sum };
      },
      renew: (identity) => void calls.renew(identity).catch(() => {}),
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
