import { afterAll, expect, test } from 'vitest';
import { drawAugmentation, lighting, projectiveTransform } from '../../../plan/augmentation.js';
import { denormalize, openInputProgram } from '../../../worker/model/input-program.js';
import { randomValues } from '../../support/tensorflow/random-values.js';
import { light, normalize, warp } from '../../support/tensorflow/reference-augmentation.js';

const [presize, size] = [36, 32];
const program = openInputProgram({ presize, size });
afterAll(() => program.close());

test('drawn augmentations give what an independent implementation gives, and come back as pixels', () => {
  const count = 4;
  const bytes = presize * presize * 3;
  const pixels = Uint8Array.from(randomValues(count * bytes, 3), (value) => Math.round((value + 1) * 127.5));
  const drawn = Array.from({ length: count }, (_, id) => drawAugmentation(9, 1, id));
  const transforms = drawn.map((augmentation, id) =>
    projectiveTransform(augmentation, 0.7 + 0.3 * id, presize, size),
  );
  const lightings = drawn.map((augmentation) => lighting(augmentation));
  const found = program.images({
    pixels,
    transforms: Float32Array.from(transforms.flatMap((transform) => [...transform])),
    lighting: Float32Array.from(lightings.flat()),
  });
  const wanted = transforms.flatMap((transform, id) => {
    const image = { size: presize, channels: 3, values: pixels.subarray(id * bytes, (id + 1) * bytes) };
    return warp(image, transform, size).map((value) => light(value / 255, lightings[id]!));
  });
  expect(found).toHaveLength(wanted.length);
  const differences = wanted.map((value, index) => Math.abs(found[index]! - normalize(value, index % 3)));
  expect(Math.max(...differences)).toBeLessThan(5e-3);
  expect(differences.reduce((sum, value) => sum + value, 0) / differences.length).toBeLessThan(1e-4);
  denormalize(found).forEach((value, index) => {
    expect(Math.abs(value - 255 * wanted[index]!)).toBeLessThan(0.8);
  });
});
