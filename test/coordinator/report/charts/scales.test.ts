import { describe, expect, it } from 'vitest';
import { linearScale, logarithmicScale, niceDomain } from '../../../../coordinator/report/charts/scales.js';
import {
  formatPowerOfTen,
  linearTicks,
  logarithmicTicks,
} from '../../../../coordinator/report/charts/ticks.js';

describe('linearTicks', () => {
  it.each([
    [0, 1, 5, ['0.0', '0.2', '0.4', '0.6', '0.8', '1.0']],
    [0, 6, 3, ['0', '2', '4', '6']],
    [-0.3, 0.3, 5, ['-0.3', '-0.2', '-0.1', '0.0', '0.1', '0.2', '0.3']],
    [97, 143, 4, ['100', '110', '120', '130', '140']],
  ])('from %d to %d in %i', (from, to, count, labels) => {
    expect(linearTicks(from, to, count).map(({ label }) => label)).toEqual(labels);
  });

  it('stays inside, is evenly spaced and says what it marks, over many spans', () => {
    for (const from of [-1234.5, -0.37, 0, 0.0101, 3, 88_000]) {
      for (const span of [1e-4, 0.013, 0.7, 1, 9.99, 450, 1e5]) {
        for (const count of [2, 5, 10]) {
          const values = linearTicks(from, from + span, count).map(({ value }) => value);
          expect(values.length).toBeGreaterThanOrEqual(count);
          expect(values.length).toBeLessThanOrEqual(2.5 * count + 1);
          expect(Math.min(...values)).toBeGreaterThanOrEqual(from - 1e-6 * span);
          expect(Math.max(...values)).toBeLessThanOrEqual(from + span * (1 + 1e-6));
          for (const { value, label } of linearTicks(from, from + span, count)) {
            expect(Math.abs(Number(label) - value)).toBeLessThan(span / count / 10);
          }
        }
      }
    }
  });
});

describe('logarithmicTicks', () => {
  it('labels whole powers and marks their multiples', () => {
    const ticks = logarithmicTicks(1e-7, 10);
    expect(ticks.filter(({ label }) => label !== '').map(({ label }) => label)).toEqual([
      '10⁻⁷',
      '10⁻⁶',
      '10⁻⁵',
      '10⁻⁴',
      '10⁻³',
      '10⁻²',
      '10⁻¹',
      '1',
      '10',
    ]);
    expect(ticks).toHaveLength(8 * 9 + 1);
  });

  it('stays inside a domain that is no whole power', () => {
    expect(logarithmicTicks(0.03, 0.2).map(({ value }) => value)).toEqual([
      0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.2,
    ]);
  });

  it('writes powers as people do', () => {
    expect([-12, 0, 1, 2].map(formatPowerOfTen)).toEqual(['10⁻¹²', '1', '10', '10²']);
  });
});

describe('scales', () => {
  it('place both ends of the domain on both ends of the range, and the middle between them', () => {
    const linear = linearScale([2, 6], [100, 0]);
    expect([2, 4, 6].map(linear.place)).toEqual([100, 50, 0]);
    const logarithmic = logarithmicScale([1e-4, 1], [0, 400]);
    for (const [index, value] of [1e-4, 1e-3, 1e-2, 1e-1, 1].entries()) {
      expect(logarithmic.place(value)).toBeCloseTo(100 * index, 9);
    }
  });

  it('survive a domain of one value', () => {
    expect(linearScale([3, 3], [0, 10]).place(3)).toBe(0);
    expect(() => logarithmicScale([0, 1], [0, 1])).toThrow('no zero');
  });
});

describe('niceDomain', () => {
  it.each([
    [
      [0.13, 0.91],
      [0.1, 1],
    ],
    [
      [2.31, Number.NaN, 2.34],
      [2.31, 2.34],
    ],
    [[], [0, 1]],
    [[0], [0, 1]],
    [[4], [0, 8]],
    [[-4], [-8, 0]],
  ])('of %j is %j', (values, [from, to]) => {
    const domain = niceDomain(values);
    expect(domain[0]).toBeCloseTo(from!, 9);
    expect(domain[1]).toBeCloseTo(to!, 9);
  });
});
