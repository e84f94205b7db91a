import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parentPort, Worker, type WorkerOptions } from 'node:worker_threads';
import { type PlainError, RondoError } from './errors.js';

/**
 * What a thread or a process does when another asks for it, by name. Inputs and results are cloned; shared memory,
 * which only threads have, is not.
 */
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

interface Called<T> {
  /** Names it where it has ended. */
  readonly what: string;
  /** Every name of `T`, which TypeScript checks. */
  readonly operations: Readonly<Record<keyof T & string, true>>;
}

/** Starts `program`, which calls `serveThread` with the operations `T`, in a thread of its own. */
export function startThread<T extends ThreadOperations<T>>(
  program: URL,
  o: Called<T> & { readonly worker?: WorkerOptions },
): CalledThread<T> {
  const thread = new Worker(program, o.worker);
  const { calls, isBusy, answer, fail } = createCalls<T>(o, (call) => thread.postMessage(call));
  thread.on('message', answer);
  thread.on('messageerror', (error) => fail(RondoError.from(error)));
  thread.on('error', (error) => fail(RondoError.from(error)));
  thread.on('exit', (code) => fail(new RondoError('internal', `${o.what} has ended (exit code ${code})`)));
  return {
    ...{ calls, isBusy },
    async destroy() {
      await thread.terminate();
    },
  };
}

/**
 * Starts `program`, which calls `serveProcess` with the operations `T`, as a process of its own, which ends with
 * this one. Where it crashes, this one does not: calls reject with a RondoError `unavailable` that says how it ended.
 */
export function startProcess<T extends ThreadOperations<T>>(
  program: URL,
  o: Called<T> & { readonly env?: NodeJS.ProcessEnv },
): CalledThread<T> {
  const child = fork(fileURLToPath(program), {
    ...{ serialization: 'advanced', execArgv: [], env: o.env ?? process.env },
    // A group of its own: a terminal's Ctrl-C reaches this process alone.
    ...{ detached: true, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] },
  });
  const { calls, isBusy, answer, fail } = createCalls<T>(o, (call) => child.send(call, () => {}));
  const end = (how: string) => fail(new RondoError('unavailable', `${o.what} ${how}`));
  const ended = new Promise<void>((resolve) => {
    child.on('error', (error) => {
      end(`could not be started (${error.message})`);
      resolve();
    });
    child.on('exit', (code, signal) => {
      end(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`);
      resolve();
    });
  });
  child.on('message', answer);
  return {
    ...{ calls, isBusy },
    async destroy() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function createCalls<T extends ThreadOperations<T>>(
  { operations }: Pick<Called<T>, 'operations'>,
  post: (call: Call) => void,
) {
  const pending = new Map<number, Pending>();
  let nextId = 0;
  let dead: RondoError | null = null;
  const call = (name: string, inputs: readonly unknown[]) =>
    new Promise<unknown>((resolve, reject) => {
      if (dead !== null) return reject(dead);
      const id = nextId;
      nextId += 1;
      // Throws, and so rejects, when an input cannot be cloned.
      post({ id, name, inputs });
      pending.set(id, { resolve, reject });
    });
  return {
    calls: Object.fromEntries(
      Object.keys(operations).map((name) => [name, (...inputs: unknown[]) => call(name, inputs)]),
    ) as unknown as ThreadCalls<T>,
    isBusy: () => pending.size > 0,
    answer(answer: Answer) {
      const asked = pending.get(answer.id);
      pending.delete(answer.id);
      if ('error' in answer) asked?.reject(RondoError.fromPlain(answer.error));
      else asked?.resolve(answer.result);
    },
    fail(error: RondoError) {
      dead ??= error;
      for (const asked of pending.values()) asked.reject(dead);
      pending.clear();
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
  port.on(
    'message',
    answerBy(operations, (answer) => port.postMessage(answer)),
  );
}

/** The same for the process that started this one; when that has ended, this one does. */
export function serveProcess<T extends ThreadOperations<T>>(operations: T): void {
  assert(process.send, 'runs in a process that startProcess started');
  const ignore = () => {};
  process.on('disconnect', () => process.exit());
  process.on(
    'message',
    answerBy(operations, (answer) => process.send!(answer, undefined, undefined, ignore)),
  );
}

function answerBy<T extends ThreadOperations<T>>(operations: T, post: (answer: Answer) => void) {
  const named = new Map<string, (...inputs: unknown[]) => unknown>(Object.entries(operations));
  return async ({ id, name, inputs }: Call) => {
    try {
      const operation = named.get(name);
      assert(operation, `there is no operation ${name}`);
      post({ id, result: await operation(...inputs) });
    } catch (thrown) {
      post({ id, error: RondoError.from(thrown).toPlain() });
    }
  };
}
