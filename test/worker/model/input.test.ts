import { describe, expect, test } from 'vitest';
import { presizeFor } from '../../../coordinator/run/run-config.js';
import { buildPixelInput } from '../../../worker/model/input.js';
import { Graph } from '../../../worker/tensorflow/graph.js';
import { openSession } from '../../../worker/tensorflow/session.js';
import { randomValues } from '../../support/tensorflow/random-values.js';
import { light, normalize, warp } from '../../support/tensorflow/reference-augmentation.js';

const presize = 12;
const size = 8;
const graph = new Graph();
const images = buildPixelInput(graph, presize, size);
const session = openSession(graph);

const pixelsOf = (count: number) =>
  Uint8Array.from(randomValues(count * presize * presize * 3, 5), (value) => Math.round((value + 1) * 127.5));

function expected(
  pixels: Uint8Array,
  transform: readonly number[],
  lighting: readonly [number, number],
): number[] {
  const warped = warp({ size: presize, channels: 3, values: pixels }, transform, size);
  return warped.map((value, index) => normalize(light(value / 255, lighting), index % 3));
}

const identity = [1, 0, 0, 0, 1, 0, 0, 0];

const transforms: [string, number[]][] = [
  ['the upper left corner as it is', identity],
  ['a shift between pixels', [1, 0, 1.25, 0, 1, 2.6, 0, 0]],
  ['flipped and scaled', [-1.5, 0, 11, 0, 1.5, 0, 0, 0]],
  ['rotated over the borders', [0.97, -0.26, 3, 0.26, 0.97, -2.5, 0, 0]],
  ['far outside, reflected twice', [4, 0, -30, 0, 4, 20, 0, 0]],
  ['in perspective', [1.2, 0.1, -0.7, 0.05, 1.1, 0.4, 0.03, -0.02]],
];

const lightings: [string, [number, number]][] = [
  ['as it is', [0, 1]],
  ['brighter, more contrast', [0.4, 1.25]],
  ['darker, less contrast', [-0.4, 0.8]],
];

describe('the network’s input', () => {
  test.each(transforms)('%s', (_, transform) => {
    const pixels = pixelsOf(1);
    const feeds = { pixels, transforms: Float32Array.from(transform), lighting: Float32Array.of(0, 1) };
    const found = session.run(feeds, { images }).images;
    expected(pixels, transform, [0, 1]).forEach((value, index) => {
      expect(Math.abs(found[index]! - value)).toBeLessThan(2e-4);
    });
  });

  test.each(lightings)('lighting: %s', (_, lighting) => {
    const pixels = pixelsOf(1).map((value, index) => (index < 30 ? (index % 2) * 255 : value));
    const feeds = { pixels, transforms: Float32Array.from(identity), lighting: Float32Array.from(lighting) };
    const found = session.run(feeds, { images }).images;
    expected(pixels, identity, lighting).forEach((value, index) => {
      expect(Math.abs(found[index]! - value)).toBeLessThan(2e-5);
    });
  });

  test('each image of a batch has a transform and a lighting of its own', () => {
    const pixels = pixelsOf(2);
    const [first, second] = [transforms[1]![1], transforms[3]![1]];
    const found = session.run(
      {
        pixels,
        transforms: Float32Array.of(...first, ...second),
        lighting: Float32Array.of(0, 1, -0.4, 0.8),
      },
      { images },
    ).images;
    const half = presize * presize * 3;
    const wanted = [
      ...expected(pixels.subarray(0, half), first, [0, 1]),
      ...expected(pixels.subarray(half), second, [-0.4, 0.8]),
    ];
    wanted.forEach((value, index) => {
      expect(Math.abs(found[index]! - value)).toBeLessThan(2e-4);
    });
  });
});

test('a run feeds pixels as words of four bytes, at any size and however many rows they have', () => {
  for (let side = 32; side <= 1024; side += 1) {
    const own = new Graph();
    buildPixelInput(own, presizeFor(side), side);
    const shape = [null, presizeFor(side), 3];
    expect(own.given.get('pixels')).toEqual({
      dtype: 'uint8',
      shape,
      fed: 'int32',
      placeholder: 'pixels/words',
    });
  }
});
