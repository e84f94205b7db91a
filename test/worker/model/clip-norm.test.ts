import { expect, test } from 'vitest';
import { clipFactor } from '../../../worker/model/clip-norm.js';
import type { ReductionLayout } from '../../../worker/model/layout.js';
import { randomValues } from '../../support/tensorflow/random-values.js';

const one = Float32Array.of(1);

/** `count` gradients, one statistic, then the tail. */
function layoutOf(count: number, weighted = false): ReductionLayout {
  const end = count + 1;
  return {
    length: end + (weighted ? 5 : 4),
    parts: [],
    gradientLength: count,
    gradients: [{ name: 'w', shape: [count], offset: 0 }],
    statistics: [],
    tail: {
      ...{ lossSum: end, correct: end + 1, samples: end + 2, microBatches: end + 3 },
      weight: weighted ? end + 4 : end + 2,
    },
  };
}

// torch.nn.utils.clip_grad_norm_(…, 5): of (3, −4, 12, 84, .5) / 4 it finds a norm of 21.25036764387854 and
// leaves .1764675….
test('agrees with PyTorch', () => {
  const vector = Float32Array.of(3, -4, 12, 84, 0.5, 1e6, 1e6, 1e6, 4, 1e6);
  const factor = clipFactor(vector, layoutOf(5), one, 5);
  expect(factor * 0.75).toBeCloseTo(0.1764675268859507, 12);
  expect(factor * 21).toBeCloseTo(4.94109075280662, 10);
});

test.each([1, 2, 3, 4, 7, 1000, 1001])(
  'brings %i gradients to the norm, and leaves smaller ones alone',
  (count) => {
    const layout = layoutOf(count, true);
    const vector = new Float32Array(layout.length).fill(1e6);
    vector.set(randomValues(count, count));
    vector[layout.tail.weight] = 2.5;
    const norm = Math.sqrt(vector.subarray(0, count).reduce((sum, value) => sum + (value / 2.5) ** 2, 0));
    expect(clipFactor(vector, layout, one, norm / 3)).toBeCloseTo(norm / 3 / (norm + 1e-6), 6);
    expect(clipFactor(vector, layout, one, 2 * norm)).toBe(1);
  },
);

test('a gradient of zero stays zero', () => {
  const vector = new Float32Array(10);
  vector[8] = 4;
  expect(clipFactor(vector, layoutOf(5), one, 1)).toBe(1);
});

test('values may be multiples of a unit, of each gradient its own', () => {
  const layout = layoutOf(5);
  const { gradients } = layout;
  const halves = { ...layout, gradients: [gradients[0]!, { name: 'v', shape: [2], offset: 3 }] };
  const plain = Float32Array.of(3, -4, 12, 84, 0.5, 1e6, 1e6, 1e6, 4, 1e6);
  const scaled = Float32Array.of(6, -8, 24, 84 * 4, 2, 1e6, 1e6, 1e6, 4, 1e6);
  const factor = clipFactor(scaled, halves, Float32Array.of(0.5, 0.25), 5);
  expect(factor).toBe(clipFactor(plain, layout, one, 5));
});
