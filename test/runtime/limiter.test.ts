import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createLimiter } from '../../runtime/limiter.js';

describe('createLimiter', () => {
  it.each([1, 3])('runs %i at a time, in order, and goes on after failures', async (limit) => {
    const run = createLimiter(limit);
    const order: number[] = [];
    let running = 0;
    let most = 0;
    const tasks = Array.from({ length: 10 }, (_, i) =>
      run(async () => {
        order.push(i);
        running += 1;
        most = Math.max(most, running);
        await turn();
        running -= 1;
        if (i % 2 === 0) throw new Error(`task ${i}`);
        return i;
      }),
    );
    const results = await Promise.allSettled(tasks);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(most).toBe(limit);
    expect(results.map(({ status }) => status === 'fulfilled')).toEqual(order.map((i) => i % 2 === 1));
    expect(await run(async () => 'free')).toBe('free');
  });
});
