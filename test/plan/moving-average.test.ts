import { expect, test } from 'vitest';
import { averageDecay } from '../../plan/moving-average.js';

test('forgets the first weights soon, then keeps what it was asked to', () => {
  expect(averageDecay(0.99, 0)).toBe(0.1);
  expect(averageDecay(0.99, 80)).toBe(0.9);
  expect(averageDecay(0.99, 10_000)).toBe(0.99);
  const kept = Array.from({ length: 200 }, (_, step) => averageDecay(0.999, step)).reduce((a, b) => a * b, 1);
  expect(kept).toBeLessThan(1e-6);
});
