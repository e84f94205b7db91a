import { sleep } from '../../runtime/deadline.js';
import { tryLock } from '../../runtime/file-lock.js';

const pollMs = 250;

export interface LockOptions {
  readonly signal: AbortSignal;
  /** Called again and again while another process holds the lock. */
  onWait(): void | Promise<void>;
}

/**
 * Does `work` while nobody else who locks the same path does; waits for a holder, whose end gives the lock
 * free.
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
