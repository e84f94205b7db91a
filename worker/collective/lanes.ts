import assert from 'node:assert/strict';
import { Worker } from 'node:worker_threads';
import { createDeferred, type Deferred } from '../../runtime/deferred.js';
import { type PlainError, RondoError } from '../../runtime/errors.js';
import type { Lane, RingOptions } from './all-reduce.js';
import { workspaceOf } from './codec/reduction-vector.js';
import type { Ring } from './rounds.js';

/** What a thread is asked to do; one at a time. */
export type LaneCall =
  | {
      readonly name: 'open';
      readonly predecessorAddress: string;
      readonly ring: RingOptions & { readonly lane: Lane };
    }
  | {
      readonly name: 'sum';
      /** Only the first time that the thread hears of it. */
      readonly memory: WebAssembly.Memory | undefined;
      readonly memoryId: number;
      readonly byteOffset: number;
      readonly length: number;
      readonly exactFrom: number;
    };

/** What a thread is started with. */
export interface LaneSettings {
  /** HOST:0, of which the thread takes a free port. */
  readonly listen: string;
  /** The run's. */
  readonly token: string;
}

export type ToLane =
  | { readonly kind: 'call'; readonly id: number; readonly call: LaneCall }
  | { readonly kind: 'interrupt' | 'end'; readonly error: PlainError };

export type FromLane =
  | { readonly kind: 'listening'; readonly address: string }
  | { readonly kind: 'answer'; readonly id: number; readonly error: PlainError | null };

/** A thread that carries one lane of the ring, for as long as the process lives. */
export interface LaneThread {
  /** HOST:PORT that the successor's lane pulls from. */
  readonly address: string;
  /**
   * Joins the lane's ring of a generation, which ends when `signal` aborts. @throws RondoError as
   * `Exchange.openLink`.
   */
  openRing(o: {
    ring: RingOptions & { lane: Lane };
    predecessorAddress: string;
    signal: AbortSignal;
  }): Promise<Ring>;
  /** Safe to call twice. */
  destroy(): Promise<void>;
}

const laneProgram = new URL('./lane-thread.js', import.meta.url);

/** @throws RondoError when the thread cannot listen. */
export async function startLaneThread(
  settings: LaneSettings,
  program: URL = laneProgram,
): Promise<LaneThread> {
  const thread = new Worker(program, { workerData: settings });
  const listening = createDeferred<string>();
  const calls = new Map<number, Deferred<void>>();
  const memoryIds = new Map<WebAssembly.Memory, number>();
  let nextId = 0;
  let dead: RondoError | null = null;

  const fail = (error: RondoError) => {
    dead ??= error;
    listening.reject(dead);
    for (const call of calls.values()) call.reject(dead);
    calls.clear();
  };
  thread.on('error', (error) => fail(RondoError.from(error)));
  thread.on('exit', (code) =>
    fail(new RondoError('internal', `a lane's thread has ended (exit code ${code})`)),
  );
  thread.on('message', (message: FromLane) => {
    if (message.kind === 'listening') return listening.resolve(message.address);
    const call = calls.get(message.id);
    calls.delete(message.id);
    if (message.error === null) call?.resolve();
    else call?.reject(RondoError.fromPlain(message.error));
  });

  const tell = (message: ToLane) => thread.postMessage(message);
  const request = async (call: LaneCall, onAbort: 'interrupt' | 'end', signal: AbortSignal) => {
    if (dead !== null) throw dead;
    const id = nextId;
    nextId += 1;
    const answered = createDeferred<void>();
    calls.set(id, answered);
    const pass = () => tell({ kind: onAbort, error: plain(signal) });
    signal.addEventListener('abort', pass, { once: true });
    tell({ kind: 'call', id, call });
    if (signal.aborted) pass();
    try {
      await answered.promise;
    } finally {
      if (onAbort === 'interrupt') signal.removeEventListener('abort', pass);
    }
  };

  const sum: Ring['allReduce'] = (vector, { exactFrom, signal }) => {
    const memory = workspaceOf(vector)?.memory;
    assert(memory !== undefined, 'what lanes sum is a reduction vector');
    const isKnown = memoryIds.has(memory);
    const memoryId = memoryIds.get(memory) ?? memoryIds.size;
    memoryIds.set(memory, memoryId);
    const { byteOffset, length } = vector;
    const call = { memory: isKnown ? undefined : memory, memoryId, byteOffset, length, exactFrom };
    return request({ name: 'sum', ...call }, 'interrupt', signal);
  };

  return {
    address: await listening.promise,
    async openRing({ ring, predecessorAddress, signal }) {
      // A generation may bring vectors of its own; those before are let go.
      memoryIds.clear();
      await request({ name: 'open', predecessorAddress, ring }, 'end', signal);
      return { allReduce: sum };
    },
    async destroy() {
      await thread.terminate();
    },
  };
}

function plain(signal: AbortSignal): PlainError {
  const { reason } = signal;
  const error =
    reason instanceof RondoError ? reason : new RondoError('aborted', 'the generation was aborted');
  return error.toPlain();
}
