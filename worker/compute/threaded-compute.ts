import { SHARE_ENV, Worker } from 'node:worker_threads';
import { type PlainError, RondoError } from '../../runtime/errors.js';
import type { Compute, ComputeOperations } from '../training/compute.js';

export interface ComputeCall {
  readonly id: number;
  readonly name: keyof ComputeOperations;
  readonly inputs: readonly unknown[];
}

export type ComputeAnswer =
  | { readonly id: number; readonly ok: true; readonly result: unknown }
  | { readonly id: number; readonly ok: false; readonly error: PlainError };

interface Pending {
  resolve(result: unknown): void;
  reject(error: RondoError): void;
}

const operationNames: Record<keyof ComputeOperations, true> = {
  open: true,
  initialize: true,
  load: true,
  save: true,
  resetMoments: true,
  gradientPart: true,
  apply: true,
  evaluate: true,
  predict: true,
  close: true,
};

export interface ThreadedCompute extends Compute {
  /** A call is under way or waits for its turn. */
  isBusy(): boolean;
  /** Ends the thread without waiting for what it is doing. Safe to call twice. */
  destroy(): Promise<void>;
}

/**
 * TensorFlow in a thread of its own, so that the event loop stays free for gRPC and NATS. Calls are carried
 * out in the order they are made; when the thread dies, those that wait are rejected.
 */
export function startComputeThread(): ThreadedCompute {
  const thread = new Worker(new URL('./compute-thread.js', import.meta.url), { env: SHARE_ENV });
  const pending = new Map<number, Pending>();
  let nextId = 0;
  let dead: RondoError | undefined;

  const fail = (error: RondoError) => {
    dead ??= error;
    for (const call of pending.values()) call.reject(dead);
    pending.clear();
  };
  thread.on('message', (answer: ComputeAnswer) => {
    const call = pending.get(answer.id);
    pending.delete(answer.id);
    if (answer.ok) call?.resolve(answer.result);
    else call?.reject(RondoError.fromPlain(answer.error));
  });
  thread.on('error', (error) => fail(RondoError.from(error)));
  thread.on('exit', () => fail(new RondoError('aborted', 'the compute thread has ended')));

  const call = (name: keyof ComputeOperations, inputs: readonly unknown[]) =>
    new Promise<unknown>((resolve, reject) => {
      if (dead) return reject(dead);
      const id = nextId++;
      pending.set(id, { resolve, reject });
      thread.postMessage({ id, name, inputs } satisfies ComputeCall);
    });
  const operations = Object.fromEntries(
    Object.keys(operationNames).map((name) => [
      name,
      (...inputs: unknown[]) => call(name as keyof ComputeOperations, inputs),
    ]),
  ) as unknown as Compute;

  return {
    ...operations,
    isBusy: () => pending.size > 0,
    async destroy() {
      await thread.terminate();
    },
  };
}
