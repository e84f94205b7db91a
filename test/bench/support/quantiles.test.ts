import { describe, expect, it } from 'vitest';
import { quantile, quantilesOf } from '../../../bench/support/quantiles.js';

describe('quantile', () => {
  it('interpolates between neighbours, whatever the order of the values', () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([10, 0], 0.9)).toBeCloseTo(9, 12);
    expect(quantile([7], 0.1)).toBe(7);
  });

  it('spans the values', () => {
    const values = Array.from({ length: 11 }, (_, i) => i * 10);
    expect(quantilesOf(values)).toEqual({ p10: 10, median: 50, p90: 90 });
    expect([quantile(values, 0), quantile(values, 1)]).toEqual([0, 100]);
  });
});
