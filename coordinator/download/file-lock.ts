import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { rm, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { sleep } from '../../runtime/deadline.js';

const beatMs = 2_000;
const pollMs = 250;
/** Long enough for another process that judged the same lock stale to have written its own name. */
const settleMs = 100;

export interface LockOptions {
  readonly signal: AbortSignal;
  /** Called again and again while another process holds the lock. */
  onWait(): void | Promise<void>;
  /** A lock whose holder gave no sign of life for so long is taken over. */
  readonly staleMs?: number;
}

/**
 * Does `work` while no other process that shares the folder does, whichever host it runs on: waits for a living holder,
 * takes over from a dead one. A holder shows that it lives by touching the lock; clocks are never compared, so that
 * hosts may disagree about the time.
 */
export async function withFileLock<T>(path: string, o: LockOptions, work: () => Promise<T>): Promise<T> {
  const name = JSON.stringify({ pid: process.pid, host: hostname(), id: randomUUID() });
  await acquire(path, name, o);
  const beat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, beatMs);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    if (look(path)?.name === name) await rm(path, { force: true });
  }
}

async function acquire(path: string, name: string, o: LockOptions): Promise<void> {
  const staleMs = o.staleMs ?? 15_000;
  let seen: Lock | null = null;
  let sinceMs = 0;
  while (!create(path, name)) {
    const lock = look(path);
    if (lock === null) continue;
    if (lock.name !== seen?.name || lock.touchedMs !== seen.touchedMs) {
      seen = lock;
      sinceMs = performance.now();
    }
    if (isGone(lock.name) || performance.now() - sinceMs > staleMs) {
      const own = `${path}.${randomUUID()}`;
      writeFileSync(own, name);
      renameSync(own, path);
      await sleep(settleMs, o.signal);
      if (look(path)?.name === name) return;
    }
    await o.onWait();
    await sleep(pollMs, o.signal);
  }
}

function create(path: string, name: string): boolean {
  try {
    writeFileSync(path, name, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

interface Lock {
  readonly name: string;
  readonly touchedMs: number;
}

function look(path: string): Lock | null {
  try {
    return { name: readFileSync(path, 'utf8'), touchedMs: statSync(path).mtimeMs };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** True when the holder is a process of this host that has ended. */
function isGone(name: string): boolean {
  try {
    const { pid, host } = JSON.parse(name) as { pid: number; host: string };
    if (host !== hostname()) return false;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
