import { describe, expect, test } from 'vitest';
import { drawMixup } from '../../plan/mixup.js';

const at = (step: number, microBatch = 0, count = 16) => ({ step, microBatch, count });

/** λ of many samples, each folded to the larger share. */
function sharesOf(alpha: number, steps = 2000): number[] {
  return Array.from({ length: steps }, (_, step) => [...drawMixup(alpha, 3, at(step)).shares]).flat();
}

/** Of Beta(α, α), around its mean ½. Folding leaves (λ − ½)² as it is. */
function varianceOf(alpha: number): number {
  return 1 / (4 * (2 * alpha + 1));
}

describe('partners', () => {
  test.each([1, 2, 3, 16, 23])('of %i samples are a permutation', (count) => {
    for (let step = 0; step < 20; step += 1) {
      const { partners, shares } = drawMixup(0.4, 7, at(step, 2, count));
      expect([...partners].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, k) => k));
      expect(shares).toHaveLength(count);
    }
  });

  test('fall on every place evenly', () => {
    const counts = new Array<number>(4).fill(0);
    for (let step = 0; step < 4000; step += 1) counts[drawMixup(0.4, 1, at(step, 0, 4)).partners[0]!]! += 1;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(140); // 5 deviations
  });
});

describe('shares', () => {
  test.each([0.05, 0.2, 0.4, 1, 2, 8])('of α = %f are Beta(α, α), folded to ½…1', (alpha) => {
    const shares = sharesOf(alpha);
    expect(shares.every((share) => share >= 0.5 && share <= 1)).toBe(true);
    const squares = shares.map((share) => (share - 0.5) ** 2);
    const variance = squares.reduce((sum, value) => sum + value, 0) / squares.length;
    expect(Math.abs(variance / varianceOf(alpha) - 1)).toBeLessThan(0.03);
  });

  test('of α = 1 are uniform: ten bins pass a chi-squared test', () => {
    const bins = new Array<number>(10).fill(0);
    const shares = sharesOf(1);
    for (const share of shares) bins[Math.min(9, Math.floor((share - 0.5) * 20))]! += 1;
    const expected = shares.length / 10;
    const chiSquared = bins.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    expect(chiSquared).toBeLessThan(33.7); // 9 degrees of freedom, one in ten thousand
  });
});

test('the draw is a function of seed, step and micro-batch, and of nothing else', () => {
  const one = drawMixup(0.4, 7, at(5, 1));
  drawMixup(0.4, 9, at(8, 3));
  expect(drawMixup(0.4, 7, at(5, 1))).toEqual(one);
  for (const other of [
    drawMixup(0.4, 8, at(5, 1)),
    drawMixup(0.4, 7, at(6, 1)),
    drawMixup(0.4, 7, at(5, 2)),
  ]) {
    expect(other.partners).not.toEqual(one.partners);
    expect(other.shares).not.toEqual(one.shares);
  }
});
