import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** A memory file system, on Linux. */
export const sharedMemory = '/dev/shm';

const pattern = /^rondo-(\d+)-[0-9a-f]{16}$/;

/** A name that nobody has yet for a file of this process, without a folder. */
export function nameSharedFile(): string {
  return `rondo-${process.pid}-${randomBytes(8).toString('hex')}`;
}

/** The process that made a file of this name; null for a name that is no such file's. */
export function makerOf(name: string): number | null {
  const [, pid] = pattern.exec(name) ?? [];
  return pid === undefined ? null : Number(pid);
}

/** Names of the files that processes made and did not remove; null where there is no such folder. */
export function findSharedFiles(pids: ReadonlySet<number>, directory = sharedMemory): string[] | null {
  try {
    return readdirSync(directory).filter((name) => pids.has(makerOf(name) ?? Number.NaN));
  } catch {
    return null;
  }
}

/** Removes what a process left that was killed. Never throws. */
export function removeSharedFiles(pid: number, directory = sharedMemory): void {
  for (const name of findSharedFiles(new Set([pid]), directory) ?? []) {
    try {
      rmSync(join(directory, name), { force: true });
    } catch {
      // Another user's, who has a process of that number in a container of theirs.
    }
  }
}
