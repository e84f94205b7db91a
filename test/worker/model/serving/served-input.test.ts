import { describe, expect, test } from 'vitest';
import { projectiveTransform } from '../../../../plan/augmentation.js';
import { buildServedInput } from '../../../../worker/model/serving/served-input.js';
import { Graph } from '../../../../worker/tensorflow/graph.js';
import { placeholder } from '../../../../worker/tensorflow/ops/placeholder.js';
import { openSession } from '../../../../worker/tensorflow/session.js';
import { storeImage } from '../../../support/pil-resize.js';
import { randomValues } from '../../../support/tensorflow/random-values.js';
import { normalize, warp } from '../../../support/tensorflow/reference-augmentation.js';

const [presize, size] = [36, 32];

describe('the served input', () => {
  test.each([
    ['as it is stored', 36, 36],
    ['wide', 48, 101],
    ['tall, and smaller one way', 90, 30],
    ['enlarged', 17, 20],
    ['shrunk much', 200, 310],
    ['very wide', 20, 90],
    ['beyond the bound', 300, 15],
  ])('%s: resized, then the middle, as an independent implementation has it', (_, height, width) => {
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
      const image = storeImage(values, height, width, presize);
      const transform = projectiveTransform(null, width / height, presize, size);
      const wanted = warp(image, transform, size).map((value, at) => normalize(value / 255, at % 3));
      const differences = wanted.map((value, at) => Math.abs(found[at]! - value));
      // A value near a half may be rounded to the other side: one level of 255, in units of the deviation.
      expect(Math.max(...differences)).toBeLessThan(1.01 / 255 / 0.224);
      expect(differences.reduce((sum, each) => sum + each, 0) / differences.length).toBeLessThan(4e-4);
    } finally {
      session.close();
    }
  });
});
