import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createLimiter, createWeightedLimiter } from '../../runtime/limiter.js';

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

describe('createWeightedLimiter', () => {
  it('runs what fits together, in order, never more, and goes on after failures', async () => {
    const run = createWeightedLimiter(10);
    const order: number[] = [];
    let [weight, most] = [0, 0];
    // The sixth is heavier than all the room there is.
    const weights = [4, 4, 4, 2, 9, 50, 1, 1, 10, 3];
    const tasks = weights.map((own, i) =>
      run(own, async () => {
        order.push(i);
        weight += Math.min(own, 10);
        most = Math.max(most, weight);
        for (let turns = 0; turns <= i % 3; turns += 1) await turn();
        weight -= Math.min(own, 10);
        if (i % 2 === 0) throw new Error(`task ${i}`);
        return i;
      }),
    );
    const results = await Promise.allSettled(tasks);
    expect(order).toEqual(weights.map((_, i) => i));
    expect(most).toBe(10);
    expect(results.map(({ status }) => status === 'fulfilled')).toEqual(weights.map((_, i) => i % 2 === 1));
    // All room is there again.
    expect(await run(10, async () => 'alone')).toBe('alone');
  });

  it('lets nothing light overtake what is heavy and waits', async () => {
    const run = createWeightedLimiter(10);
    let release = () => {};
    const first = run(6, () => new Promise<void>((resolve) => (release = resolve)));
    const started: string[] = [];
    const heavy = run(8, async () => void started.push('heavy'));
    const light = run(1, async () => void started.push('light'));
    for (let turns = 0; turns < 5; turns += 1) await turn();
    expect(started).toEqual([]);
    release();
    await Promise.all([first, heavy, light]);
    expect(started).toEqual(['heavy', 'light']);
  });
});
