import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessEntry {
  readonly pid: number;
  readonly parentPid: number;
  /** Program and arguments, separated by spaces. */
  readonly command: string;
}

/** Whether a process of this id runs; one that has ended and that nobody has waited for does not. */
export function isAlive(pid: number): boolean {
  const status = readStatus(pid);
  return status !== null && status.state !== 'Z';
}

/** All processes that `pid` started, and that those started, as long as their parents live. */
export function descendantsOf(pid: number): ProcessEntry[] {
  const all = listProcesses();
  const collect = (parent: number): ProcessEntry[] =>
    all.filter(({ parentPid }) => parentPid === parent).flatMap((child) => [child, ...collect(child.pid)]);
  return collect(pid);
}

function listProcesses(): ProcessEntry[] {
  const entries: ProcessEntry[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    const status = Number.isInteger(pid) ? readStatus(pid) : null;
    if (status !== null && status.state !== 'Z') entries.push({ pid, ...status });
  }
  return entries;
}

/** From Linux's /proc: null when there is no such process (any more). */
function readStatus(pid: number): { state: string; parentPid: number; command: string } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold anything.
    const [state, parentPid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return { state, parentPid: Number(parentPid), command };
  } catch {
    return null;
  }
}
