import { describe, expect, test } from 'vitest';
import { openStream } from '../../../plan/random.js';
import { fillNormal } from '../../../worker/model/normal-numbers.js';

const count = 2_000_000;
const drawn = draw(1);

function draw(seed: number, index = 0, length = count): Float32Array {
  const values = new Float32Array(length);
  fillNormal(values, 1, openStream(seed, 'initialization', index));
  return values;
}

/** Of a standard normal number below x: the integral of its density by Simpson's rule. */
function probabilityBelow(x: number): number {
  const [from, steps] = [-9, 2000];
  const width = (x - from) / steps;
  const density = (at: number) => Math.exp(-0.5 * at * at) / Math.sqrt(2 * Math.PI);
  let sum = density(from) + density(x);
  for (let k = 1; k < steps; k += 1) sum += (k % 2 === 1 ? 4 : 2) * density(from + k * width);
  return (sum * width) / 3;
}

const power = (k: number) => drawn.reduce((sum, value) => sum + value ** k, 0) / count;

describe('two million numbers', () => {
  test.each([
    [1, 0, 1],
    [2, 1, 2],
    [3, 0, 15],
    [4, 3, 96],
    [6, 15, 10_170],
  ])('have moment %i of a normal distribution', (order, expected, variance) => {
    expect(Math.abs(power(order) - expected)).toBeLessThan(5 * Math.sqrt(variance / count));
  });

  // The edges lie within, at and beyond the ziggurat's layers and its tail, 3.4426.
  test('fall into 64 bins as the density says', () => {
    const edges = Array.from({ length: 63 }, (_, k) => -3.875 + k * 0.125);
    const bins = new Array<number>(64).fill(0);
    for (const value of drawn) bins[edges.filter((edge) => edge <= value).length]! += 1;
    const below = [0, ...edges.map(probabilityBelow), 1];
    const chiSquared = bins.reduce((sum, found, k) => {
      const expected = count * (below[k + 1]! - below[k]!);
      return sum + (found - expected) ** 2 / expected;
    }, 0);
    expect(chiSquared).toBeLessThan(113); // 63 degrees of freedom, one in ten thousand
    expect(chiSquared).toBeGreaterThan(27);
  });

  test('have as many in both tails as there should be', () => {
    const expected = count * probabilityBelow(-3.5);
    for (const side of [-1, 1]) {
      const found = drawn.filter((value) => side * value > 3.5).length;
      expect(Math.abs(found - expected)).toBeLessThan(4 * Math.sqrt(expected));
    }
  });

  test('do not follow one from another', () => {
    for (const lag of [1, 2, 3, 64]) {
      let sum = 0;
      for (let k = lag; k < count; k += 1) sum += drawn[k]! * drawn[k - lag]!;
      expect(Math.abs(sum / count)).toBeLessThan(5 / Math.sqrt(count));
    }
  });
});

test('the same stream gives the same numbers, another stream others', () => {
  const part = drawn.slice(0, 1000);
  expect(draw(1, 0, 1000)).toEqual(part);
  for (const other of [draw(2, 0, 1000), draw(1, 1, 1000)]) {
    expect(other.filter((value, k) => value === part[k])).toHaveLength(0);
  }
});

/** Written once: the numbers must not change with the machine or the version of Node. */
test('the first numbers of a stream are known', () => {
  expect([...draw(42, 3, 4)]).toMatchInlineSnapshot(`
    [
      -0.1859492063522339,
      -0.46907633543014526,
      -0.10689844191074371,
      -0.4433032274246216,
    ]
  `);
});
