import { describe, expect, it } from 'vitest';
import { compareCase } from '../../../bench/device/compare-case.js';
import { type CaseFigures, compareKind, figuresOf, relativeDistance } from '../../../bench/device/figures.js';
import { readStored } from '../../../bench/device/stored.js';
import { randomValues } from '../../support/tensorflow/random-values.js';

const count = 5000;
const values = randomValues(count, 1);
const noise = randomValues(count, 2);

/** ‖a − b‖ / ‖b‖ */
function exactDistance(a: Float32Array, b: Float32Array): number {
  const norm = (x: Float32Array) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
  return norm(a.map((value, i) => value - b[i]!)) / norm(b);
}

describe('relativeDistance', () => {
  it('is 0 between equal tensors, and has the norm exactly', () => {
    const figures = figuresOf('x', values);
    expect(relativeDistance(figures, figuresOf('x', values.slice()))).toBe(0);
    expect(figures.norm).toBeCloseTo(Math.sqrt(values.reduce((sum, value) => sum + value * value, 0)), 3);
  });

  it.each([1e-5, 1e-3, 0.1, 1])('estimates a distance of %d within a factor of two', (scale) => {
    const ratios = Array.from({ length: 20 }, (_, index) => {
      const changed = values.map((value, i) => value + scale * noise[(i + 97 * index) % count]!);
      const name = `tensor ${index}`;
      const estimate = relativeDistance(figuresOf(name, changed), figuresOf(name, values));
      return estimate / exactDistance(changed, values);
    });
    const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
    expect(mean).toBeGreaterThan(0.8);
    expect(mean).toBeLessThan(1.2);
    expect(Math.max(...ratios)).toBeLessThan(2);
    expect(Math.min(...ratios)).toBeGreaterThan(0.3);
  });

  it.each([
    ['two elements exchanged places', (x: Float32Array) => x.reverse()],
    ['a sign turned', (x: Float32Array) => x.map((value) => -value)],
    ['everything is zero', (x: Float32Array) => x.fill(0)],
  ])('sees that %s', (_, change) => {
    expect(relativeDistance(figuresOf('x', change(values.slice())), figuresOf('x', values))).toBeGreaterThan(
      0.5,
    );
  });
});

describe('compareKind', () => {
  const expected = { a: figuresOf('a', values), b: figuresOf('b', noise) };

  it('names the tensor that is farthest away', () => {
    const found = {
      ...expected,
      b: figuresOf(
        'b',
        noise.map((value) => 1.01 * value),
      ),
    };
    const { all, worst, where } = compareKind(found, expected);
    expect(where).toBe('b');
    expect(worst).toBeGreaterThan(0.003);
    expect(all).toBeLessThan(worst);
  });

  it.each([
    ['is missing', { a: expected.a }],
    [
      'holds NaN',
      {
        ...expected,
        b: figuresOf(
          'b',
          noise.map((value, i) => (i === 7 ? Number.NaN : value)),
        ),
      },
    ],
  ])('meets no bound where a tensor %s', (_, found) => {
    const { all, worst, where } = compareKind(found as CaseFigures['gradients'], expected);
    expect([all, worst, where]).toEqual([Number.NaN, Number.NaN, 'b']);
  });
});

describe('compareCase', () => {
  const stored = readStored();

  it('passes what is stored, of every parameter and statistic', () => {
    expect(compareCase('float32', stored, stored).kinds.every(({ met, all }) => met && all === 0)).toBe(true);
    expect(Object.keys(stored.gradients)).toHaveLength(116);
    expect(Object.keys(stored.gradients).sort()).toEqual(Object.keys(stored.parameters).sort());
    expect(Object.keys(stored.statistics).sort()).toEqual(Object.keys(stored.running).sort());
  });

  it.each(['float32', 'tf32', 'bfloat16'] as const)('fails gradients of another sign in %s', (precision) => {
    const turned = Object.entries(stored.gradients).map(([name, { norm, projections }]) => [
      name,
      { norm, projections: projections.map((value) => -value) },
    ]);
    const { kinds } = compareCase(precision, { ...stored, gradients: Object.fromEntries(turned) }, stored);
    expect(kinds.filter(({ met }) => !met).map(({ kind }) => kind)).toEqual(['gradients']);
  });
});
