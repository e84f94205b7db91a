import { expect, test } from 'vitest';
import { epochPermutation } from '../../plan/sampler.js';

test('every epoch visits each sample exactly once', () => {
  for (const count of [0, 1, 2, 3, 17, 64, 1000, 5912]) {
    for (const epoch of [0, 1, 9]) {
      const order = epochPermutation(42, epoch, count);
      expect(Uint32Array.from(order).sort()).toEqual(Uint32Array.from({ length: count }, (_, id) => id));
    }
  }
});

test('the order depends on seed and epoch, and on nothing else', () => {
  const first = Uint32Array.from(epochPermutation(1, 0, 500));
  const others = [epochPermutation(2, 0, 500), epochPermutation(1, 1, 500), epochPermutation(1, 0, 501)];
  for (const other of others) expect(other.slice(0, 500)).not.toEqual(first);
  for (let epoch = 0; epoch < 20; epoch += 1) epochPermutation(1, epoch, 500); // pushes it out of the memory
  expect(epochPermutation(1, 0, 500)).toEqual(first);
});

test('the last few epochs are remembered, so that planning a step costs nothing', () => {
  const order = epochPermutation(5, 0, 100);
  epochPermutation(5, 1, 100);
  expect(epochPermutation(5, 0, 100)).toBe(order);
});

test('all 24 orders of four samples are equally likely', () => {
  const seen = new Map<string, number>();
  const draws = 24_000;
  for (let seed = 0; seed < draws; seed += 1) {
    const key = epochPermutation(seed, 3, 4).join();
    seen.set(key, (seen.get(key) ?? 0) + 1);
  }
  expect(seen.size).toBe(24);
  const chiSquared = [...seen.values()].reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0);
  expect(chiSquared).toBeLessThan(57.1); // 23 degrees of freedom, one in ten thousand
});

test('a large epoch has no trace of the order before: displacement and neighbours as chance would have it', () => {
  const count = 20_000;
  for (const epoch of [0, 1]) {
    const order = epochPermutation(9, epoch, count);
    let displacement = 0;
    let followers = 0;
    for (let i = 0; i < count; i += 1) {
      displacement += Math.abs(order[i]! - i);
      if (i > 0 && order[i]! === order[i - 1]! + 1) followers += 1;
    }
    expect(Math.abs(displacement / count / (count / 3) - 1)).toBeLessThan(0.03);
    expect(followers).toBeLessThan(10); // one is expected
  }
});
