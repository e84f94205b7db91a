import { expect, test } from 'vitest';
import { parityImages, parityLabels, parityTensor, uniformNumbers } from '../../../bench/parity/formula.js';
import { parityReference } from '../../support/parity-files.js';

// Printed by make_parity.py's own `uniform`.
test.each([
  [1, 'conv1.weight', [-0.47284649522043765, 0.4236111738719046, -0.3747428951319307, 0.31854849588125944]],
  [2, 'head.8.bias', [-0.24347267672419548, -0.12115636863745749, 0.43156170891597867]],
  [-3, 'größe', [0.025629446376115084, 0.09029717580415308]],
])('numbers of seed %i, %s', (seed, name, expected) => {
  expect([...uniformNumbers(seed, name, expected.length)]).toEqual(expected);
});

test.each(['resnet18', 'resnet34'] as const)('labels are those that PyTorch had for %s', (name) => {
  const { seed, batch, classes, labels } = parityReference(name);
  expect([...parityLabels(seed, batch, classes)]).toEqual(labels);
});

test.each([
  ['layer1.0.conv1.weight', [4, 3, 2, 2], 0, Math.sqrt(24 / 16)],
  ['head.4.weight', [5, 6], 0, 2],
  ['head.4.bias', [5], 0, 0.1],
  ['head.8.bias', [5], 0, 0.1],
  ['head.6.bias', [5], 0, 0.2],
  ['bn1.weight', [5], 1, 0.2],
  ['bn1.bias', [5], 0, 0.2],
  ['bn1.running_mean', [5], 0, 0.1],
  ['bn1.running_var', [5], 1, 0.5],
])('%s of shape %j is %f + %f u, in float32', (name, shape, shift, scale) => {
  const count = shape.reduce((a, b) => a * b);
  const expected = [...uniformNumbers(7, name, count)].map((u) => Math.fround(shift + scale * u));
  expect([...parityTensor(7, name, shape)]).toEqual(expected);
});

test('images are numbered as NCHW and laid out as NHWC', () => {
  const [batch, size] = [2, 3];
  const numbers = uniformNumbers(1, 'input', batch * 3 * size * size);
  const images = parityImages(1, batch, size);
  for (let n = 0; n < batch; n += 1) {
    for (let c = 0; c < 3; c += 1) {
      for (let y = 0; y < size; y += 1) {
        for (let x = 0; x < size; x += 1) {
          const number = numbers[((n * 3 + c) * size + y) * size + x]!;
          expect(images[((n * size + y) * size + x) * 3 + c]).toBe(Math.fround(4 * number));
        }
      }
    }
  }
});
