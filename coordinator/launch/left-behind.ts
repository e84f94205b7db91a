import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

/** How often it is looked whether a process still runs. */
const lookMs = 200;

/** A process that a coordinator started which has died since: no child of this one. */
export interface LeftBehind {
  readonly pid: number;
  /** Does nothing once it has ended: its number may be another's. */
  kill(signal: NodeJS.Signals): void;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
}

/**
 * The process of this id, when it runs and its command line has all these words, one after the other; else null.
 */
export function findLeftBehind(pid: number, words: readonly string[]): LeftBehind | null {
  const isRunning = () => pid > 0 && hasWords(readCommand(pid), words);
  if (!isRunning()) return null;
  return {
    pid,
    kill(signal) {
      if (isRunning()) process.kill(pid, signal);
    },
    ended: (async () => {
      while (isRunning()) await setTimeout(lookMs, undefined, { ref: false });
    })(),
  };
}

function hasWords(command: readonly string[], words: readonly string[]): boolean {
  return command.some((_, at) => words.every((word, index) => command[at + index] === word));
}

/** Linux's; empty for a process that has ended, also while nobody has waited for it. */
function readCommand(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
