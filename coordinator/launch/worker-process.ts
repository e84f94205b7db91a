import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RondoError } from '../../runtime/errors.js';
import { removeSharedFiles } from '../../runtime/shared-files.js';
import { findLeftBehind, type LeftBehind } from './left-behind.js';
import { workerEnvironment, workerNodeArguments } from './worker-environment.js';

/** What every worker of a run is started with. */
export interface WorkerProcessOptions {
  readonly coordinatorAddress: string;
  /**
   * Added to this process's environment: also what workers join with, which only this user reads there; on a
   * command line everybody would.
   */
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

/** How a worker that is nobody's child any more has ended. */
export interface TakeOverOptions extends WorkerProcessOptions {
  /** Whether it was told that all is done: its exit code nobody can tell. */
  hasLeft?(workerId: string, pid: number): boolean;
}

export interface WorkerExit {
  readonly workerId: string;
  readonly pid: number | undefined;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Launched {
  readonly child: Pick<ChildProcess, 'pid'> & { kill(signal: NodeJS.Signals): unknown };
  /** `error` names the log and has its last lines; null when it ended well. */
  readonly exit: Promise<WorkerExit & { readonly error: RondoError | null }>;
}

/** Of a worker that was told to end before its run was over. */
const leftExitCode = 130;

/** Of a log, at most. */
const tailBytes = 4_096;
const tailLines = 15;

/** dist/coordinator/launch/worker-process.js → dist/worker/main.js */
const workerProgram = fileURLToPath(new URL('../../worker/main.js', import.meta.url));

/** The id of the worker that is launched as number `index`. */
export function nameLaunched(index: number): string {
  return `worker-${index}`;
}

/** The number by which a worker was launched. */
export function indexOfLaunched(workerId: string): number {
  return Number(workerId.slice(workerId.lastIndexOf('-') + 1));
}

/**
 * Starts worker-`index`, in a process group of its own. @throws RondoError when its log cannot be written.
 */
export function launchWorker(options: WorkerProcessOptions, index: number): Launched {
  const workerId = nameLaunched(index);
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
        { ...process.env, ...options.env },
        { index, threads: options.threadsPerWorker, gpus: options.gpus },
      ),
    },
  );
  closeSync(log);

  const exit = new Promise<Awaited<Launched['exit']>>((resolve) => {
    const end = (exitCode: number | null, signal: NodeJS.Signals | null, reason: string) => {
      if (child.pid !== undefined) removeSharedFiles(child.pid);
      const isWell = exitCode === 0 || exitCode === leftExitCode;
      const error = isWell ? null : describeExit(workerId, reason, readLogTail(logPath, logStart), logPath);
      resolve({ workerId, pid: child.pid, exitCode, signal, error });
    };
    child.once('error', (error) => end(null, null, `could not be started (${error.message})`));
    child.once('exit', (code, signal) =>
      end(code, signal, signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`),
    );
  });
  return { child, exit };
}

/** A worker that was started for the coordinator at `address`, if it still runs. */
export function findLeftWorker(address: string, workerId: string, pid: number): LeftBehind | null {
  return findLeftBehind(pid, ['join', '--coordinator', address, '--id', workerId]);
}

/** The same as if it had been started here. Null when it has ended, with nothing left of it. */
export function takeOverWorker(
  { coordinatorAddress, logDir, hasLeft }: TakeOverOptions,
  index: number,
  pid: number,
): Launched | null {
  const workerId = nameLaunched(index);
  const child = findLeftWorker(coordinatorAddress, workerId, pid);
  if (child === null) {
    removeSharedFiles(pid);
    return null;
  }
  const logPath = join(logDir, `${workerId}.log`);
  const exit = child.ended.then(() => {
    removeSharedFiles(pid);
    if (hasLeft?.(workerId, pid)) return { workerId, pid, exitCode: 0, signal: null, error: null };
    const error = describeExit(workerId, 'ended', readLogTail(logPath, 0), logPath);
    return { workerId, pid, exitCode: null, signal: null, error };
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
