import assert from 'node:assert/strict';
import { parentPort, Worker, type WorkerOptions } from 'node:worker_threads';
import { type PlainError, RondoError } from './errors.js';

/** What a thread does when another asks for it, by name. Inputs and results are cloned, shared memory is not. */
export type ThreadOperations<T> = { readonly [Name in keyof T]: (...inputs: never[]) => unknown };

/** The operations of a thread, as another calls them. */
export type ThreadCalls<T extends ThreadOperations<T>> = {
  readonly [Name in keyof T]: (...inputs: Parameters<T[Name]>) => Promise<Awaited<ReturnType<T[Name]>>>;
};

export interface CalledThread<T extends ThreadOperations<T>> {
  /**
   * Calls reach the thread in the order they are made. They reject with the RondoError that the operation
   * failed with, or, once the thread has ended, with why it did.
   */
  readonly calls: ThreadCalls<T>;
  /** A call is under way or waits for its turn. */
  isBusy(): boolean;
  /** Ends the thread without waiting for what it is doing. Safe to call twice. */
  destroy(): Promise<void>;
}

// Both ends of the messages are in this file, and of one build: they are never parsed.

interface Call {
  readonly id: number;
  readonly name: string;
  readonly inputs: readonly unknown[];
}

type Answer = { readonly id: number } & ({ readonly result: unknown } | { readonly error: PlainError });

interface Pending {
  resolve(result: unknown): void;
  reject(error: RondoError): void;
}

/**
 * Starts `program`, which calls `serveThread` with the operations `T`, in a thread of its own.
 *
 * @param o.what names the thread where it has ended.
 * @param o.operations every name of `T`, which TypeScript checks.
 */
export function startThread<T extends ThreadOperations<T>>(
  program: URL,
  o: {
    readonly what: string;
    readonly operations: Readonly<Record<keyof T & string, true>>;
    readonly worker?: WorkerOptions;
  },
): CalledThread<T> {
  const thread = new Worker(program, o.worker);
  const pending = new Map<number, Pending>();
  let nextId = 0;
  let dead: RondoError | null = null;

  const fail = (error: RondoError) => {
    dead ??= error;
    for (const call of pending.values()) call.reject(dead);
    pending.clear();
  };
  thread.on('message', (answer: Answer) => {
    const call = pending.get(answer.id);
    pending.delete(answer.id);
    if ('error' in answer) call?.reject(RondoError.fromPlain(answer.error));
    else call?.resolve(answer.result);
  });
  thread.on('messageerror', (error) => fail(RondoError.from(error)));
  thread.on('error', (error) => fail(RondoError.from(error)));
  thread.on('exit', (code) => fail(new RondoError('internal', `${o.what} has ended (exit code ${code})`)));

  const call = (name: string, inputs: readonly unknown[]) =>
    new Promise<unknown>((resolve, reject) => {
      if (dead !== null) return reject(dead);
      const id = nextId;
      nextId += 1;
      // Throws, and so rejects, when an input cannot be cloned.
      thread.postMessage({ id, name, inputs } satisfies Call);
      pending.set(id, { resolve, reject });
    });

  return {
    calls: Object.fromEntries(
      Object.keys(o.operations).map((name) => [name, (...inputs: unknown[]) => call(name, inputs)]),
    ) as unknown as ThreadCalls<T>,
    isBusy: () => pending.size > 0,
    async destroy() {
      await thread.terminate();
    },
  };
}

/**
 * Carries out the calls of the thread that started this one. An operation that is asynchronous does not hold
 * up the next.
 */
export function serveThread<T extends ThreadOperations<T>>(operations: T): void {
  assert(parentPort, 'runs in a worker thread');
  const port = parentPort;
  const named = new Map<string, (...inputs: unknown[]) => unknown>(Object.entries(operations));
  port.on('message', async ({ id, name, inputs }: Call) => {
    try {
      const operation = named.get(name);
      assert(operation, `the thread has no operation ${name}`);
      port.postMessage({ id, result: await operation(...inputs) } satisfies Answer);
    } catch (thrown) {
      port.postMessage({ id, error: RondoError.from(thrown).toPlain() } satisfies Answer);
    }
  });
}
