import { expect, test } from 'vitest';
import { compare } from '../../bench/parity/compare.js';
import { measure } from '../../bench/parity/measure.js';
import { parityReference } from '../support/parity-files.js';

test("ResNet34, at another size and batch, agrees with PyTorch's too", () => {
  const reference = parityReference('resnet34');
  const missed = compare(reference, measure(reference)).filter(({ met }) => !met);
  expect(missed).toEqual([]);
});
