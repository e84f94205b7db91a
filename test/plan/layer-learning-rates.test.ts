import { expect, test } from 'vitest';
import { layerLearningRates } from '../../plan/layer-learning-rates.js';

test('one number is the same for every group', () => {
  expect(layerLearningRates(0.003)).toEqual([0.003, 0.003, 0.003]);
});

test('min and max are geometric over the groups, with both ends exact', () => {
  const [first, middle, last] = layerLearningRates({ min: 1e-6, max: 1e-4 });
  expect([first, last]).toEqual([1e-6, 1e-4]);
  expect(middle! / 1e-5).toBeCloseTo(1, 12);
  for (const groups of [2, 4, 7]) {
    const rates = layerLearningRates({ min: 2e-5, max: 3e-3 }, groups);
    expect(rates).toHaveLength(groups);
    const ratio = (3e-3 / 2e-5) ** (1 / (groups - 1));
    for (let group = 1; group < groups; group += 1) {
      expect(rates[group]! / rates[group - 1]!).toBeCloseTo(ratio, 9);
    }
  }
  expect(layerLearningRates({ min: 1e-5, max: 1e-3 }, 1)).toEqual([1e-3]);
});

test('max alone is a tenth for all but the last group', () => {
  const [first, middle, last] = layerLearningRates({ max: 3e-3 });
  expect([first, middle]).toEqual([3e-3 / 10, 3e-3 / 10]);
  expect(last).toBe(3e-3);
});
