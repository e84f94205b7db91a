import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { findSharedFiles } from '../../runtime/shared-files.js';

/** What a run left on this machine. */
export interface Leftovers {
  /** Processes; null where the system does not list them (/proc). */
  readonly processes: readonly number[] | null;
  /** Files in shared memory; null where there is none. */
  readonly sharedFiles: readonly string[] | null;
}

const pollMs = 250;

/**
 * Looks for processes whose command line has one of `marks`, such as the run's folder, and for files that
 * `pids` made in shared memory; waits for up to `graceMs` until there are none.
 */
export async function findLeftovers(
  marks: readonly string[],
  pids: ReadonlySet<number>,
  graceMs: number,
): Promise<Leftovers> {
  for (const endMs = performance.now() + graceMs; ; await setTimeout(pollMs)) {
    const found = { processes: findProcesses(marks), sharedFiles: findSharedFiles(pids) };
    const left = (found.processes?.length ?? 0) + (found.sharedFiles?.length ?? 0);
    if (left === 0 || performance.now() >= endMs) return found;
  }
}

function findProcesses(marks: readonly string[]): number[] | null {
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return null;
  }
  return names
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid)
    .filter((pid) => {
      // Empty for a process that has ended and that nobody has waited for.
      const command = readIfThere(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
      return marks.some((mark) => command.includes(mark));
    });
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
