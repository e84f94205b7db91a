import { sleep } from '../../runtime/deadline.js';
import { tryLock } from '../../runtime/file-lock.js';

const pollMs = 250;

export interface LockOptions {
  readonly signal: AbortSignal;
  /** Called again and again while another process holds the lock. */
  onWait(): void | Promise<void>;
}

/**
 * Does `work` while holding the lock at `path`. Waits while another process holds it; the lock is released
 * when its holder ends.
 */
export async function withFileLock<T>(path: string, o: LockOptions, work: () => Promise<T>): Promise<T> {
  let unlock = tryLock(path);
  while (unlock === null) {
    await o.onWait();
    await sleep(pollMs, o.signal);
    unlock = tryLock(path);
  }
  try {
    return await work();
  } finally {
    unlock();
  }
}
