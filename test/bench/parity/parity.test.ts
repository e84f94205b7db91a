import { expect, test } from 'vitest';
import { compare } from '../../../bench/parity/compare.js';
import { measure } from '../../../bench/parity/measure.js';
import { parityReference } from '../../support/parity-files.js';

test("ResNet18, its gradients, optimizer and schedule agree with PyTorch's within every bound", () => {
  const reference = parityReference('resnet18');
  const missed = compare(reference, measure(reference)).filter(({ met }) => !met);
  expect(missed).toEqual([]);
});
