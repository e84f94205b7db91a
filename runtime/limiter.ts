import assert from 'node:assert/strict';

/** Runs a task when its turn comes, in the order of the calls. */
export type Limiter = <T>(task: () => Promise<T>) => Promise<T>;

/**
 * At most `limit` tasks at once; the others wait, first come first served. A task that fails frees its place.
 */
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

/** Runs a task when there is room for its weight, in the order of the calls. */
export type WeightedLimiter = <T>(weight: number, task: () => Promise<T>) => Promise<T>;

/**
 * Tasks of at most `capacity` together at once; the others wait, first come first served, also behind a heavy
 * one. A task heavier than that runs alone. A task that fails gives its room back.
 */
export function createWeightedLimiter(capacity: number): WeightedLimiter {
  assert(capacity > 0, `a limiter needs room, got ${capacity}`);
  const waiting: { weight: number; start: () => void }[] = [];
  let room = capacity;
  const admit = () => {
    while (waiting.length > 0 && waiting[0]!.weight <= room) {
      const { weight, start } = waiting.shift()!;
      room -= weight;
      start();
    }
  };
  return async (asked, task) => {
    const weight = Math.min(asked, capacity);
    await new Promise<void>((start) => {
      waiting.push({ weight, start });
      admit();
    });
    try {
      return await task();
    } finally {
      room += weight;
      admit();
    }
  };
}

/** libvips hands an image over between the pool's thread and one of its own, so that either waits half of the time. */
export const poolThreadsPerCore = 2;

/** Threads of libuv's pool, which read files and run sharp. */
export function threadPoolSize(): number {
  return Math.max(1, Number(process.env.UV_THREADPOOL_SIZE) || 4);
}
