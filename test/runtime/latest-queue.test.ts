import { expect, it } from 'vitest';
import { createLatestQueue } from '../../coordinator/checkpoints/checkpoint-keeper.js';
import { createDeferred } from '../../runtime/deferred.js';

it.each([
  [false, [1, 3]],
  [true, [1, 2, 3]],
])(
  'works one at a time; the newest takes the place of what waits, unless that must be done (%j)',
  async (mustBeDone, expected) => {
    const gates = new Map([1, 2, 3].map((item) => [item, createDeferred<void>()]));
    const done: number[] = [];
    const queue = createLatestQueue<number>(
      async (item) => {
        await gates.get(item)!.promise;
        done.push(item);
      },
      () => mustBeDone,
      () => {},
    );
    for (const item of [1, 2, 3]) queue.push(item);
    for (const gate of gates.values()) gate.resolve();
    expect(await queue.settle()).toBeNull();
    expect(done).toEqual(expected);
  },
);

it('settles to the newest piece’s error, and forgets it when a later one goes well', async () => {
  const failed: number[] = [];
  const queue = createLatestQueue<number>(
    async (item) => {
      if (item === 1) throw new Error('no');
    },
    () => false,
    (item) => failed.push(item),
  );
  queue.push(1);
  expect((await queue.settle())?.message).toBe('no');
  queue.push(2);
  expect(await queue.settle()).toBeNull();
  expect(failed).toEqual([1]);
});

it('aborts what it does', async () => {
  const queue = createLatestQueue<number>(
    (_, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    () => false,
    () => {},
  );
  queue.push(1);
  queue.push(2);
  queue.abort();
  expect((await queue.settle())?.code).toBe('cancelled');
});
