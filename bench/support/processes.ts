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

/** Linux's unit in /proc, on every processor. */
const ticksPerSecond = 100;

/** That a process has taken of the processors, in all its threads; 0 once it has ended. */
export function processorSeconds(pid: number): number {
  const status = readStatus(pid);
  return status === null ? 0 : status.processorTicks / ticksPerSecond;
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
function readStatus(
  pid: number,
): { state: string; parentPid: number; processorTicks: number; command: string } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // proc_pid_stat(5): state, ppid, and from the twelfth utime and stime.
    const [state, parentPid] = fields;
    const processorTicks = Number(fields[11]) + Number(fields[12]);
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return { state: state!, parentPid: Number(parentPid), processorTicks, command };
  } catch {
    return null;
  }
}
