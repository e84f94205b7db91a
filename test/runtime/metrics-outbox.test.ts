import { describe, expect, it } from 'vitest';
import { createBoundedQueue } from '../../runtime/metrics-outbox.js';

describe('createBoundedQueue', () => {
  it('keeps order, and drops the oldest of what does not fit', () => {
    const queue = createBoundedQueue<number>(3);
    for (const item of [1, 2, 3, 4, 5]) queue.push(item);
    expect([queue.size, queue.dropped]).toEqual([3, 2]);
    expect([queue.shift(), queue.shift(), queue.shift(), queue.shift()]).toEqual([3, 4, 5, undefined]);
  });

  it('behaves as an array cut at its front does, over any mixture of pushes and shifts', () => {
    for (const capacity of [1, 2, 7]) {
      const queue = createBoundedQueue<number>(capacity);
      let model: number[] = [];
      let dropped = 0;
      for (let i = 0; i < 500; i += 1) {
        if ((i * i + capacity) % 5 < 2) {
          expect(queue.shift()).toBe(model.shift());
        } else {
          queue.push(i);
          model.push(i);
          dropped += Math.max(0, model.length - capacity);
          model = model.slice(-capacity);
        }
        expect([queue.size, queue.dropped]).toEqual([model.length, dropped]);
      }
    }
  });
});
