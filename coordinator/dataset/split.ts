import { epochPermutation } from '../../plan/sampler.js';
import { RondoError } from '../../runtime/errors.js';

/** The permutation of an epoch that no run reaches, so that the split says nothing about the order of training. */
const splitEpoch = 2 ** 32 - 1;

/** Batch norm needs two samples. */
const minTrainCount = 2;

export interface Split {
  /** Positions in the sorted list of samples, ascending. */
  readonly train: Uint32Array;
  readonly valid: Uint32Array;
}

/**
 * Draws round(count × validPct) of `count` samples for validation; depends on the three arguments only. `validPct` is a
 * share of 1, as in fastai. Throws RondoError when either set would be too small.
 */
export function splitSamples(count: number, validPct: number, seed: number): Split {
  if (!(validPct > 0 && validPct < 1)) {
    throw new RondoError('invalid-argument', `the validation share is ${validPct}`, {
      remedy: 'give --valid-pct a number between 0 and 1, for example 0.2',
    });
  }
  const validCount = Math.round(count * validPct);
  if (validCount < 1 || count - validCount < minTrainCount) {
    throw new RondoError(
      'invalid-argument',
      `${count} images are too few: ${validCount} for validation and ${count - validCount} for training`,
      { remedy: `add images or change --valid-pct; at least 1 and ${minTrainCount} are needed` },
    );
  }
  const order = epochPermutation(seed, splitEpoch, count);
  return { train: order.slice(validCount).sort(), valid: order.slice(0, validCount).sort() };
}
