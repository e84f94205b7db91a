import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { RondoError } from '../../runtime/errors.js';
import { tokenVariable } from '../../runtime/grpc/credentials.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { workerEnvironment, workerNodeArguments } from './worker-environment.js';

export interface LaunchOptions {
  readonly count: number;
  readonly coordinatorAddress: string;
  /** The run's. It goes by the environment, which only this user reads; on a command line everybody would. */
  readonly token: string;
  /** Added to this process's environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** Receives worker-N.log: what each worker prints. */
  readonly logDir: string;
  readonly threadsPerWorker: number;
  /** Values for CUDA_VISIBLE_DEVICES, one per worker in turn; none for the CPU. */
  readonly gpus: readonly string[];
  /** The worker's compiled program; found beside this one unless given. */
  readonly program?: string;
  /** A worker ended badly and is started again. */
  onRestart?(error: RondoError): void;
  /** A worker ended badly and is not started again; the error names its log and has its last lines. */
  onFailure(error: RondoError): void;
  /** Further arguments of `worker join`. */
  readonly arguments?: readonly string[];
}

export interface WorkerExit {
  readonly workerId: string;
  readonly pid: number | undefined;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * Worker processes on this machine. One that ends badly is started again, ever later; one that does so at
 * once three times is given up. `close` and `destroy` are safe to call twice.
 */
export interface LocalWorkers {
  /** Of those that run. */
  readonly pids: number[];
  /** From now on none is started again; resolves with how each ended last, in order of their ids. Never rejects. */
  exited(): Promise<readonly WorkerExit[]>;
  /** SIGTERM, then SIGKILL after `graceMs`; resolves when all have exited. */
  close(graceMs: number): Promise<void>;
  /** SIGKILL. */
  destroy(): void;
}

interface Launched {
  readonly child: ChildProcess;
  readonly exit: Promise<WorkerExit & { readonly error: RondoError | null }>;
}

/** Of a log, at most. */
const tailBytes = 4_096;
const tailLines = 15;

/** A worker that has lived this long did not end at once. */
const atOnceMs = 10_000;
/** So many times in a row. */
const mostAtOnce = 3;
const firstDelayMs = 250;
const longestDelayMs = 8_000;

/** dist/coordinator/launch/launcher.js → dist/worker/main.js */
const workerProgram = fileURLToPath(new URL('../../worker/main.js', import.meta.url));

/**
 * Starts worker-0 … worker-(count−1), each in a process group of its own: a terminal's Ctrl-C reaches the
 * coordinator alone, which then ends them in order.
 *
 * @throws RondoError when a log cannot be written; nothing is left running then.
 */
export function launchWorkers(options: LaunchOptions): LocalWorkers {
  const running = new Map<number, ChildProcess>();
  const ending = new AbortController();
  const kill = (signal: NodeJS.Signals) => {
    ending.abort();
    // By child, not by bare pid: Node knows when the process is gone and its number may be another's.
    for (const child of running.values()) child.kill(signal);
  };
  const destroy = () => kill('SIGKILL');
  process.once('exit', destroy);
  const start = (index: number): Launched => {
    const launched = launchWorker(options, index);
    running.set(index, launched.child);
    return launched;
  };
  const supervise = async (index: number, first: Launched): Promise<WorkerExit> => {
    let launched = first;
    for (let atOnce = 0, delayMs = firstDelayMs; ; delayMs = Math.min(2 * delayMs, longestDelayMs)) {
      const startedMs = performance.now();
      const { error, ...exit } = await launched.exit;
      running.delete(index);
      if (error === null || ending.signal.aborted) return exit;
      const isAtOnce = performance.now() - startedMs < atOnceMs;
      if (!isAtOnce) delayMs = firstDelayMs;
      atOnce = isAtOnce ? atOnce + 1 : 0;
      if (atOnce === mostAtOnce) {
        options.onFailure(error);
        return exit;
      }
      options.onRestart?.(error);
      await setTimeout(delayMs, undefined, { signal: ending.signal }).catch(() => {});
      if (ending.signal.aborted) return exit;
      try {
        launched = start(index);
      } catch (thrown) {
        options.onFailure(RondoError.from(thrown));
        return exit;
      }
    }
  };
  let exits: Promise<WorkerExit[]>;
  try {
    makeFolder(options.logDir);
    const first = Array.from({ length: options.count }, (_, index) => start(index));
    exits = Promise.all(first.map((launched, index) => supervise(index, launched)));
  } catch (error) {
    destroy();
    process.removeListener('exit', destroy);
    throw RondoError.from(error);
  }
  void exits.then(() => process.removeListener('exit', destroy));
  const exited = () => {
    ending.abort();
    return exits;
  };

  return {
    get pids() {
      return [...running.values()].flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
    },
    exited,
    async close(graceMs) {
      kill('SIGTERM');
      const timer = globalThis.setTimeout(destroy, graceMs);
      await exits;
      clearTimeout(timer);
    },
    destroy,
  };
}

function launchWorker(options: LaunchOptions, index: number): Launched {
  const workerId = `worker-${index}`;
  const logPath = join(options.logDir, `${workerId}.log`);
  const log = openSync(logPath, 'a');
  const logStart = fstatSync(log).size;
  const program = options.program ?? workerProgram;
  const child = spawn(
    process.execPath,
    [
      ...workerNodeArguments,
      program,
      'join',
      '--coordinator',
      options.coordinatorAddress,
      '--id',
      workerId,
      ...(options.arguments ?? []),
    ],
    {
      detached: true,
      stdio: ['ignore', log, log],
      env: workerEnvironment(
        { ...process.env, ...options.env, [tokenVariable]: options.token },
        { index, threads: options.threadsPerWorker, gpus: options.gpus },
      ),
    },
  );
  closeSync(log);

  const exit = new Promise<Awaited<Launched['exit']>>((resolve) => {
    const end = (exitCode: number | null, signal: NodeJS.Signals | null, reason: string) => {
      const error =
        exitCode === 0 ? null : describeExit(workerId, reason, readLogTail(logPath, logStart), logPath);
      resolve({ workerId, pid: child.pid, exitCode, signal, error });
    };
    child.once('error', (error) => end(null, null, `could not be started (${error.message})`));
    child.once('exit', (code, signal) =>
      end(code, signal, signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`),
    );
  });
  return { child, exit };
}

function describeExit(workerId: string, reason: string, lines: string, logPath: string): RondoError {
  const said = lines === '' ? 'It printed nothing.' : `Its last lines:\n${lines}`;
  return new RondoError('unavailable', `${workerId} ${reason}. ${said}`, {
    remedy: `all it printed is in ${logPath}`,
  });
}

/** The last lines of what was written to a file from byte `start` on; empty when it cannot be read. */
function readLogTail(path: string, start: number): string {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const { size } = fstatSync(file);
    const from = Math.max(start, size - tailBytes);
    const buffer = Buffer.alloc(Math.max(0, size - from));
    const length = readSync(file, buffer, 0, buffer.length, from);
    return buffer.toString('utf8', 0, length).trimEnd().split('\n').slice(-tailLines).join('\n');
  } catch {
    return '';
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
