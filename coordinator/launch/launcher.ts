import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createDeferred } from '../../runtime/deferred.js';
import { RondoError } from '../../runtime/errors.js';
import { tokenVariable } from '../../runtime/grpc/credentials.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { readLogTail } from './log-tail.js';
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
  /** Further arguments of `worker join`. */
  readonly arguments?: readonly string[];
}

export interface WorkerExit {
  readonly workerId: string;
  readonly pid: number | undefined;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Worker processes on this machine. `close` and `destroy` are safe to call twice. */
export interface LocalWorkers {
  readonly pids: number[];
  /** All have exited, in order of their ids. Never rejects. */
  readonly exited: Promise<readonly WorkerExit[]>;
  /**
   * The first one that ended badly without being told to, with its last log lines. Never rejects; may never
   * resolve.
   */
  readonly failed: Promise<RondoError>;
  /** SIGTERM, then SIGKILL after `graceMs`; resolves when all have exited. */
  close(graceMs: number): Promise<void>;
  /** SIGKILL. */
  destroy(): void;
}

interface Launched {
  readonly child: ChildProcess;
  readonly exit: Promise<WorkerExit>;
}

/** dist/coordinator/launch/launcher.js → dist/worker/main.js */
const workerProgram = fileURLToPath(new URL('../../worker/main.js', import.meta.url));

/**
 * Starts worker-0 … worker-(count−1), each in a process group of its own: a terminal's Ctrl-C reaches the
 * coordinator alone, which then ends them in order.
 *
 * @throws RondoError when a log cannot be written; nothing is left running then.
 */
export function launchWorkers(options: LaunchOptions): LocalWorkers {
  const failure = createDeferred<RondoError>();
  const workers: Launched[] = [];
  let ending = false;
  const kill = (signal: NodeJS.Signals) => {
    ending = true;
    // By child, not by bare pid: Node knows when the process is gone and its number may be another's.
    for (const { child } of workers) child.kill(signal);
  };
  const destroy = () => kill('SIGKILL');
  process.once('exit', destroy);
  try {
    makeFolder(options.logDir);
    for (let index = 0; index < options.count; index += 1) {
      workers.push(launchWorker(options, index, (error) => ending || failure.resolve(error)));
    }
  } catch (error) {
    destroy();
    process.removeListener('exit', destroy);
    throw RondoError.from(error);
  }
  const exited = Promise.all(workers.map(({ exit }) => exit));
  void exited.then(() => process.removeListener('exit', destroy));

  return {
    pids: workers.flatMap(({ child }) => (child.pid === undefined ? [] : [child.pid])),
    exited,
    failed: failure.promise,
    async close(graceMs) {
      kill('SIGTERM');
      const timer = setTimeout(destroy, graceMs);
      await exited;
      clearTimeout(timer);
    },
    destroy,
  };
}

function launchWorker(
  options: LaunchOptions,
  index: number,
  onFailure: (error: RondoError) => void,
): Launched {
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

  const exit = new Promise<WorkerExit>((resolve) => {
    const end = (exitCode: number | null, signal: NodeJS.Signals | null, reason: string) => {
      if (exitCode !== 0) onFailure(describeExit(workerId, reason, readLogTail(logPath, logStart), logPath));
      resolve({ workerId, pid: child.pid, exitCode, signal });
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
