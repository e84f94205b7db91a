import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { RondoError } from '../../runtime/errors.js';

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When the process began, in the kernel's ticks; tells a reused pid from the holder. Null where there is no /proc. */
  readonly started: string | null;
}

/**
 * Takes a run for this process; the returned function gives it back. A lock whose process is gone is taken over.
 * Throws failed-precondition when a live coordinator holds it.
 */
export function lockRun(directory: string): () => void {
  const path = join(directory, 'lock');
  const self: Holder = { pid: process.pid, host: hostname(), started: startOf(process.pid) };
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(path, JSON.stringify(self), { flag: 'wx' });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt > 0) throw RondoError.from(error);
    }
    const holder = readHolder(path);
    if (holder !== null && isAlive(holder)) throw inUse(directory, path, holder);
    rmSync(path, { force: true });
  }
}

/** True when a live process holds the run. */
export function isLocked(directory: string): boolean {
  const holder = readHolder(join(directory, 'lock'));
  return holder !== null && isAlive(holder);
}

function readHolder(path: string): Holder | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder;
  } catch {
    // Gone meanwhile, or cut short by a crash: nobody holds it.
    return null;
  }
}

/** A holder on another host counts as alive: this machine cannot know better. */
function isAlive({ pid, host, started }: Holder): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return started === startOf(pid);
}

function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Field 22; the second field is in parentheses and may hold spaces.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function inUse(directory: string, path: string, { pid, host }: Holder): RondoError {
  return new RondoError('failed-precondition', `run ${directory} is in use by process ${pid} on ${host}`, {
    remedy:
      host === hostname()
        ? 'stop that process (Ctrl-C, or SIGTERM), or wait for it to end'
        : `if nothing works on it there any more, remove ${path}`,
  });
}
