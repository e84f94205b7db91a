import { expect, test } from 'vitest';
import { compare } from '../../../bench/parity/compare.js';
import { measure } from '../../../bench/parity/measure.js';
import { parityReference } from '../../support/parity-files.js';

test.each(['resnet18', 'resnet34'] as const)(
  "%s, its gradients, optimizer and schedule agree with PyTorch's within every bound",
  (arch) => {
    const reference = parityReference(arch);
    const missed = compare(reference, measure(reference)).filter(({ met }) => !met);
    expect(missed).toEqual([]);
  },
);
