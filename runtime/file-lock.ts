import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';
import { z } from 'zod';
import { RondoError } from './errors.js';
import { parseJson } from './parse-json.js';

// <sys/file.h>
const [shared, exclusive, withoutWaiting] = [1, 2, 4];
const flock = koffi.load(null).func('int flock(int file, int operation)');

const holderSchema = z.object({ pid: z.int(), host: z.string() });

/** Who holds a lock, for people: what decides is the kernel. */
export type LockHolder = Readonly<z.infer<typeof holderSchema>>;

/**
 * Locks the file at `path`, which is made if need be, for this process; null when another opening of it, here
 * or in another process, holds the lock. The kernel releases it when the process ends, however it does, so no
 * lock outlives its holder and none is judged stale: a process id that is used again, as in a restarted
 * container, says nothing. The returned function gives it back and removes the file.
 *
 * @throws RondoError where the folder cannot be written, or its file system knows no locks.
 */
export function tryLock(path: string): (() => void) | null {
  for (;;) {
    const file = openSync(path, 'a+');
    try {
      if (!take(file, path, exclusive)) {
        closeSync(file);
        return null;
      }
      // A holder removes the file: what was opened before that and locked after it is no longer what others
      // find.
      if (!isAt(file, path)) {
        closeSync(file);
        continue;
      }
      ftruncateSync(file);
      writeSync(file, JSON.stringify({ pid: process.pid, host: hostname() } satisfies LockHolder));
    } catch (error) {
      closeSync(file);
      throw error;
    }
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      if (isAt(file, path)) rmSync(path, { force: true });
      closeSync(file);
    };
  }
}

/** Whether anybody holds the lock. */
export function isLockHeld(path: string): boolean {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return false;
  }
  try {
    return !take(file, path, shared);
  } finally {
    closeSync(file);
  }
}

/** What the holder wrote, which is still there when it was killed; null when it is none. */
export function readLockHolder(path: string): LockHolder | null {
  try {
    return parseJson(holderSchema, readFileSync(path, 'utf8'), { name: path });
  } catch {
    return null;
  }
}

function take(file: number, path: string, operation: number): boolean {
  if (flock(file, operation | withoutWaiting) === 0) return true;
  const cause = getSystemErrorName(-koffi.errno());
  if (cause === 'EAGAIN' || cause === 'EWOULDBLOCK') return false;
  throw new RondoError('failed-precondition', `cannot lock ${path}: ${cause}`, {
    remedy: 'use a folder on a file system with locks, such as a local disk',
  });
}

function isAt(file: number, path: string): boolean {
  try {
    const [held, found] = [fstatSync(file), statSync(path)];
    return held.ino === found.ino && held.dev === found.dev;
  } catch {
    return false;
  }
}
