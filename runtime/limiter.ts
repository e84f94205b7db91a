import assert from 'node:assert/strict';

/** Runs a task when its turn comes, in the order of the calls. */
export type Limiter = <T>(task: () => Promise<T>) => Promise<T>;

/** At most `limit` tasks at once; the others wait, first come first served. A task that fails frees its place. */
export function createLimiter(limit: number): Limiter {
  assert(limit >= 1, `a limiter needs at least one place, got ${limit}`);
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (task) => {
    if (running >= limit) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await task();
    } finally {
      // The place passes to the next in line directly, so that nobody who calls in between overtakes.
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

/** Threads of libuv's pool, which read files and run sharp. */
export function threadPoolSize(): number {
  return Math.max(1, Number(process.env.UV_THREADPOOL_SIZE) || 4);
}
