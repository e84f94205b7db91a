import { join } from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { isLockHeld, readLockHolder, tryLock } from '../../runtime/file-lock.js';

/** Asking whether a run is locked takes its lock for a moment, so locking is tried several times. */
const tries = 5;
const betweenTriesMs = 20;

/**
 * Takes a run for this process; the returned function gives it back, and so does the process's end.
 * Throws failed-precondition when another coordinator holds it.
 */
export function lockRun(directory: string): () => void {
  const path = join(directory, 'lock');
  for (let left = tries; left > 0; left -= 1) {
    const unlock = tryLock(path);
    if (unlock !== null) return unlock;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, betweenTriesMs);
  }
  const holder = readLockHolder(path);
  const by = holder === null ? 'another process' : `process ${holder.pid} on ${holder.host}`;
  throw new RondoError('failed-precondition', `run ${directory} is in use by ${by}`, {
    remedy: 'stop that process (Ctrl-C, or SIGTERM), or wait for it to end',
  });
}

/** True when a live process holds the run. */
export function isLocked(directory: string): boolean {
  return isLockHeld(join(directory, 'lock'));
}
