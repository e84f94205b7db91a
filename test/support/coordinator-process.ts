import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { descendantsOf, isAlive } from '../../bench/support/processes.js';

const program = fileURLToPath(new URL('../../dist/coordinator/main.js', import.meta.url));

export type JsonEvent = { readonly kind: string } & Readonly<Record<string, unknown>>;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly events: readonly JsonEvent[];
  readonly stdout: string;
  readonly stderr: string;
}

/** The compiled coordinator as a process of its own, as a person would start it. */
export interface CoordinatorProcess {
  readonly pid: number;
  /** The first event, past or to come, that `matches`; rejects when the program ends without it. */
  event(matches: (event: JsonEvent) => boolean): Promise<JsonEvent>;
  /** What `pattern` finds in all that it printed so far; waits for it as `event` does. */
  printed(pattern: RegExp): Promise<string>;
  readonly exited: Promise<Exit>;
  kill(signal: NodeJS.Signals): void;
}

/** Where a program is started. */
export interface Place {
  readonly cwd?: string;
  /** What runs it elsewhere, before its command line. */
  readonly within?: readonly string[];
}

const running = new Set<ChildProcess>();

/** Ends whatever a failed test left behind; for afterEach. */
export function killCoordinators(): void {
  for (const child of running) {
    // They would train on for a while.
    const started = child.pid === undefined ? [] : descendantsOf(child.pid);
    child.kill('SIGKILL');
    for (const { pid } of started) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  }
}

export function startCoordinator(
  inputs: readonly string[],
  environment: Record<string, string> = {},
  { cwd, within = [] }: Place = {},
): CoordinatorProcess {
  const [first, ...rest] = [...within, process.execPath, program, ...inputs];
  const child = spawn(first!, rest, {
    ...{ stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment }, cwd },
  });
  running.add(child);
  const events: JsonEvent[] = [];
  const waiting = new Set<() => void>();
  let [stdout, stderr, ended] = ['', '', false];
  const wake = () => {
    for (const check of waiting) check();
  };
  let pending = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    const lines = (pending + text).split('\n');
    pending = lines.pop()!;
    for (const line of lines) if (line.startsWith('{')) events.push(JSON.parse(line) as JsonEvent);
    wake();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const exited = new Promise<Exit>((resolve) => {
    child.on('close', (code, signal) => {
      running.delete(child);
      ended = true;
      resolve({ code, signal, events, stdout, stderr });
      wake();
    });
  });

  const waitFor = <T>(find: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const check = () => {
        const found = find();
        if (found !== undefined) resolve(found);
        else if (ended) reject(new Error(`ended without it; it printed:\n${stdout}\n${stderr}`));
        if (found !== undefined || ended) waiting.delete(check);
      };
      waiting.add(check);
      check();
    });
  return {
    pid: child.pid!,
    exited,
    kill: (signal) => void child.kill(signal),
    event: (matches) => waitFor(() => events.find(matches)),
    printed: (pattern) => waitFor(() => pattern.exec(stdout)?.[0]),
  };
}

export function runCoordinator(
  inputs: readonly string[],
  environment?: Record<string, string>,
  place?: Place,
): Promise<Exit> {
  return startCoordinator(inputs, environment, place).exited;
}
