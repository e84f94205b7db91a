import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { RondoError } from '../../runtime/errors.js';
import { parseEvent, type WatchedEvent } from './run-events.js';

export interface CoordinatorExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What it said of its failure, if it did. */
  readonly error: RondoError | null;
}

/** `coordinator start` as a process of its own, in a process group of its own. */
export interface CoordinatorProcess {
  readonly pid: number;
  /** Never rejects. */
  readonly exited: Promise<CoordinatorExit>;
  kill(signal: NodeJS.Signals): void;
}

/** Of what it prints on standard error, the end is kept. */
const keptBytes = 4_096;

/**
 * @param program this program, as `process.argv` names it.
 * @param inputs of the command line, after the program; `--json` is added.
 * @param environment added to this process's.
 */
export function startCoordinator(
  program: string,
  inputs: readonly string[],
  environment: Readonly<Record<string, string>>,
  hear: (event: WatchedEvent) => void,
): CoordinatorProcess {
  const child: ChildProcess = spawn(process.execPath, [program, ...inputs, '--json'], {
    detached: true,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [said, failure]: [string, RondoError | null] = ['', null];
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-keptBytes);
  });
  const lines = createInterface({ input: child.stdout! });
  lines.on('line', (line) => {
    try {
      const event = parseEvent(line);
      if (event?.kind === 'error') {
        failure = new RondoError('aborted', event.message, { remedy: event.remedy ?? undefined });
      }
      if (event !== null) hear(event);
    } catch (thrown) {
      failure = RondoError.from(thrown);
    }
  });
  const exited = new Promise<CoordinatorExit>((resolve) => {
    child.once('error', (error) => resolve({ code: null, signal: null, error: RondoError.from(error) }));
    child.once('close', (code, signal) => {
      if (code !== 0 && signal === null && failure === null && said !== '') {
        failure = new RondoError('aborted', said.trimEnd());
      }
      resolve({ code, signal, error: failure });
    });
  });
  return { pid: child.pid ?? 0, exited, kill: (signal) => void child.kill(signal) };
}
