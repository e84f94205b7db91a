import { describe, expect, it } from 'vitest';
import { permuteIndices } from '../../plan/permute-indices.js';

const list = (count: number, order: (position: number) => number) =>
  Array.from({ length: count }, (_, i) => order(i));

describe('a permutation that holds no list', () => {
  it.each([1, 2, 3, 5, 16, 17, 100, 1_000, 4_097])('visits each of %i samples once', (count) => {
    for (const epoch of [0, 1, 7]) {
      const visited = list(count, permuteIndices(count, 42, epoch, 0));
      expect(visited.toSorted((a, b) => a - b)).toEqual(list(count, (i) => i));
    }
  });

  it('is another one for another seed, epoch or label, and always the same for the same', () => {
    const of = (seed: number, epoch: number, label: number) =>
      list(1_000, permuteIndices(1_000, seed, epoch, label)).join();
    expect(new Set([of(1, 0, 0), of(2, 0, 0), of(1, 1, 0), of(1, 0, 1)]).size).toBe(4);
    // Runs that are resumed by a later version depend on it.
    expect(list(8, permuteIndices(1_000_000_000, 42, 3, 0))).toMatchInlineSnapshot(`
      [
        380869297,
        860124555,
        446438973,
        681091416,
        308280803,
        153387769,
        746582144,
        271858069,
      ]
    `);
  });

  it('puts every sample anywhere equally often, and neighbours no nearer than others', () => {
    for (const count of [3, 10, 64]) {
      const seeds = 200 * count;
      const places = new Float64Array(count * count);
      let neighbours = 0;
      for (let seed = 0; seed < seeds; seed += 1) {
        const visited = list(count, permuteIndices(count, seed, 0, 0));
        visited.forEach((id, position) => {
          places[id * count + position]! += 1;
          if (position > 0 && Math.abs(id - visited[position - 1]!) === 1) neighbours += 1;
        });
      }
      const expected = seeds / count;
      const chiSquare = places.reduce((sum, times) => sum + (times - expected) ** 2 / expected, 0);
      const freedom = (count - 1) ** 2;
      // Four standard deviations of the chi-square distribution.
      expect(Math.abs(chiSquare - freedom), `${count}`).toBeLessThan(4 * Math.sqrt(2 * freedom));
      // Each of count−1 places has neighbours of the source with probability 2/count.
      const usual = (seeds * (count - 1) * 2) / count;
      expect(Math.abs(neighbours - usual) / usual, `${count}`).toBeLessThan(0.05);
    }
  });
});
