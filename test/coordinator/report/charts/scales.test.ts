import { describe, expect, it } from 'vitest';
import {
  formatPowerOfTen,
  linearScale,
  logarithmicScale,
  niceDomain,
  type Scale,
} from '../../../../coordinator/report/charts/scales.js';

const labelsOf = ({ ticks }: Scale) => ticks.map(({ label }) => label);
/** A label as a number: minus signs are typographic. */
const read = (label: string) => Number(label.replace('−', '-'));

describe('a linear scale', () => {
  it.each([
    [0, 1, 5, ['0.0', '0.2', '0.4', '0.6', '0.8', '1.0']],
    [0, 6, 3, ['0', '2', '4', '6']],
    [-0.3, 0.3, 5, ['−0.3', '−0.2', '−0.1', '0.0', '0.1', '0.2', '0.3']],
    [97, 143, 4, ['100', '110', '120', '130', '140']],
    [0, 12_000, 3, ['0', '5000', '10000']],
    [0, 3e7, 3, ['0e+0', '1e+7', '2e+7', '3e+7']],
    [0, 4e-5, 2, ['0e+0', '2e-5', '4e-5']],
  ])('from %d to %d with about %i ticks', (from, to, count, labels) => {
    expect(
      labelsOf(linearScale([from, to], [0, 100], count)).map((label) => label.replace(/e−/, 'e-')),
    ).toEqual(labels);
  });

  it('marks inside, evenly, and says what it marks, over many spans', () => {
    for (const from of [-1234.5, -0.37, 0, 0.0101, 3, 88_000]) {
      for (const span of [1e-3, 0.013, 0.7, 1, 9.99, 450, 1e5]) {
        for (const count of [2, 5, 10]) {
          const { ticks } = linearScale([from, from + span], [0, 100], count);
          const values = ticks.map(({ value }) => value);
          expect(values.length).toBeGreaterThanOrEqual(count / 2);
          expect(values.length).toBeLessThanOrEqual(2 * count + 1);
          expect(Math.min(...values)).toBeGreaterThanOrEqual(from - 1e-6 * span);
          expect(Math.max(...values)).toBeLessThanOrEqual(from + span * (1 + 1e-6));
          const gaps = values.slice(1).map((value, index) => value - values[index]!);
          for (const gap of gaps) expect(gap).toBeCloseTo(gaps[0]!, 9);
          for (const { value, label } of ticks) {
            expect(Math.abs(read(label) - value)).toBeLessThan(span / count / 10);
          }
        }
      }
    }
  });

  it('puts both ends of the domain on both ends of the range, and the middle between them', () => {
    expect([2, 4, 6, 8].map(linearScale([2, 6], [100, 0]).place)).toEqual([100, 50, 0, -50]);
  });

  it('survives a domain of one value', () => {
    const { place, ticks } = linearScale([3, 3], [0, 10]);
    expect(place(3)).toBe(5);
    expect(ticks.map(({ value }) => value)).toEqual([3]);
  });
});

describe('a logarithmic scale', () => {
  it('labels whole powers and marks their multiples', () => {
    const scale = logarithmicScale([1e-7, 10], [0, 100]);
    const powers = ['10⁻⁷', '10⁻⁶', '10⁻⁵', '10⁻⁴', '10⁻³', '10⁻²', '10⁻¹', '1', '10'];
    expect(labelsOf(scale).filter((label) => label !== '')).toEqual(powers);
    expect(scale.ticks).toHaveLength(8 * 9 + 1);
  });

  it('stays inside a domain that is no whole power, and marks an end that computing missed by a bit', () => {
    const values = logarithmicScale([0.03, 0.2], [0, 1]).ticks.map(({ value }) => value);
    expect(values).toEqual([0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.2]);
    for (const peak of [1e-6, 3e-4, 7e-3, 0.1]) {
      const { ticks } = logarithmicScale([peak / 1000, 1], [0, 1]);
      expect(ticks[0]!.value).toBeCloseTo(peak / 1000, 15);
    }
  });

  it('labels what it marks where no power of ten is near', () => {
    expect(labelsOf(logarithmicScale([2, 6], [0, 1]))).toEqual(['2', '3', '4', '5', '6']);
  });

  it('puts powers at even distances, and refuses zero', () => {
    const { place } = logarithmicScale([1e-4, 1], [0, 400]);
    for (const [index, value] of [1e-4, 1e-3, 1e-2, 1e-1, 1].entries()) {
      expect(place(value)).toBeCloseTo(100 * index, 9);
    }
    expect(() => logarithmicScale([0, 1], [0, 1])).toThrow('no zero');
  });

  it('writes powers as people do', () => {
    expect([-12, 0, 1, 2].map(formatPowerOfTen)).toEqual(['10⁻¹²', '1', '10', '10²']);
  });
});

describe('niceDomain', () => {
  it.each([
    [
      [0.13, 0.91],
      [0, 1],
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
