import { describe, expect, test } from 'vitest';
import { projectiveTransform } from '../../../../plan/augmentation.js';
import { buildServedInput } from '../../../../worker/model/serving/served-input.js';
import { Graph } from '../../../../worker/tensorflow/graph.js';
import { placeholder } from '../../../../worker/tensorflow/ops/sources.js';
import { openSession } from '../../../../worker/tensorflow/session.js';
import { randomValues } from '../../../support/tensorflow/random-values.js';
import { normalize, warp } from '../../../support/tensorflow/reference-augmentation.js';

const [presize, size] = [36, 32];

/** Weights of a triangle filter, as wide as the shrink factor, for each of `to` places over `from` pixels. */
function triangle(from: number, to: number): number[][] {
  const scale = from / to;
  const radius = Math.max(scale, 1);
  return Array.from({ length: to }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const weights = Array.from({ length: from }, (_, pixel) =>
      Math.max(0, 1 - Math.abs(pixel + 0.5 - centre) / radius),
    );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return weights.map((weight) => weight / sum);
  });
}

/** [h, w, 3] to [presize, presize, 3], rounded to 8 bits. */
function squeeze(values: ArrayLike<number>, height: number, width: number): number[] {
  const [rows, columns] = [triangle(height, presize), triangle(width, presize)];
  const narrow = Array.from({ length: height * presize * 3 }, (_, at) => {
    const [y, x, channel] = [Math.floor(at / 3 / presize), Math.floor(at / 3) % presize, at % 3];
    return columns[x]!.reduce(
      (sum, weight, column) => sum + weight * values[(y * width + column) * 3 + channel]!,
      0,
    );
  });
  return Array.from({ length: presize * presize * 3 }, (_, at) => {
    const [y, rest] = [Math.floor(at / 3 / presize), at % (presize * 3)];
    const sum = rows[y]!.reduce(
      (total, weight, row) => total + weight * narrow[row * presize * 3 + rest]!,
      0,
    );
    return Math.round(sum);
  });
}

describe('the served input', () => {
  test.each([
    ['as it is stored', 36, 36],
    ['wide', 48, 101],
    ['tall, and smaller one way', 90, 30],
    ['enlarged', 17, 20],
    ['shrunk much', 200, 310],
  ])('%s: squeezed, then the middle, as an independent implementation has it', (_, height, width) => {
    const graph = new Graph();
    const pixels = placeholder(graph, 'pixels', 'uint8', [null, height, width, 3]);
    const images = buildServedInput(pixels, { presize, size });
    expect(images.shape).toEqual([null, size, size, 3]);
    const session = openSession(graph);
    try {
      const values = Uint8Array.from(randomValues(height * width * 3, 7), (value) =>
        Math.round((value + 1) * 127.5),
      );
      const found = session.run({ pixels: values }, { images }).images;
      const image = { size: presize, channels: 3, values: squeeze(values, height, width) };
      const transform = projectiveTransform(null, width / height, presize, size);
      const wanted = warp(image, transform, size).map((value, at) => normalize(value / 255, at % 3));
      const differences = wanted.map((value, at) => Math.abs(found[at]! - value));
      // A value near a half may be rounded to the other side: one level of 255, in units of the deviation.
      expect(Math.max(...differences)).toBeLessThan(1.01 / 255 / 0.224);
      expect(differences.reduce((sum, each) => sum + each, 0) / differences.length).toBeLessThan(2e-4);
    } finally {
      session.close();
    }
  });
});
