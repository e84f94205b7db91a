import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { JsonEvent } from './coordinator-process.js';

const program = fileURLToPath(new URL('../../dist/worker/main.js', import.meta.url));

export interface WorkerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** The compiled worker as a process of its own, as a person would join it to a run. */
export interface WorkerProcess {
  readonly pid: number;
  /** Resolves with what matches when standard error holds `text`; rejects when the worker ends without it. */
  printed(text: string | RegExp): Promise<RegExpMatchArray>;
  readonly exited: Promise<WorkerExit>;
  kill(signal: NodeJS.Signals): void;
}

export interface Join {
  /** What `worker join` is given: --id and the like. */
  readonly inputs?: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  /** A module that is loaded before the worker, by its URL. */
  readonly preload?: string;
  /** Changes the command line: to start it by another program. */
  readonly wrap?: (command: readonly string[]) => readonly string[];
}

const running = new Set<ChildProcess>();

/** Ends whatever a failed test left behind; for afterEach. */
export function killWorkers(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** Joins a worker to the run whose coordinator said that it waits, or that listens at an address. */
export function joinWorker(run: JsonEvent | string, join: Join = {}): WorkerProcess {
  const { inputs = [], environment = {}, preload, wrap = (command) => command } = join;
  const place =
    typeof run === 'string'
      ? ['--coordinator', run]
      : ['--coordinator', run.address as string, '--token-file', run.tokenFile as string];
  const preloaded = preload ? ['--import', preload] : [];
  const command = [process.execPath, ...preloaded, program, 'join', ...place, ...inputs];
  const [name, ...args] = wrap(command);
  const child = spawn(name!, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...environment },
  });
  running.add(child);
  let [stderr, ended] = ['', false];
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const check of waiting) check();
  };
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    wake();
  });
  const exited = new Promise<WorkerExit>((resolve) => {
    child.on('close', (code, signal) => {
      running.delete(child);
      ended = true;
      resolve({ code, signal, stderr });
      wake();
    });
  });
  return {
    pid: child.pid!,
    exited,
    kill: (signal) => void child.kill(signal),
    printed: (text) =>
      new Promise((resolve, reject) => {
        const check = () => {
          const found = stderr.match(
            typeof text === 'string' ? text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&') : text,
          );
          if (found) resolve(found);
          else if (ended) reject(new Error(`ended without "${text}"; it printed:\n${stderr}`));
          if (found || ended) waiting.delete(check);
        };
        waiting.add(check);
        check();
      }),
  };
}
