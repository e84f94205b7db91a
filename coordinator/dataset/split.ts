import { epochPermutation } from '../../plan/sampler.js';
import { RondoError } from '../../runtime/errors.js';
import { printable } from '../../runtime/printable.js';

/**
 * The permutation of an epoch that no run reaches, so that the split says nothing about the order of
 * training.
 */
const splitEpoch = 2 ** 32 - 1;

/**
 * How the images to validate on are chosen. `auto`: by the folders train and valid, or a column of the table
 * of labels, where there is one, else `random`. `random`: whatever the data say. `stratified`: as random,
 * within each class.
 */
export const splitKinds = ['auto', 'random', 'stratified'] as const;
export type SplitKind = (typeof splitKinds)[number];

/** What gives the validation set, where it is not drawn. */
export interface GivenSplit {
  /** For people: "the folder valid". */
  readonly source: string;
  /** How to have another one. */
  readonly otherwise: string;
}

export const drawInstead = '--split random draws it from all images instead';

/** Batch norm needs two samples. */
const minTrainCount = 2;

export interface Split {
  /** Positions in the sorted list of samples, ascending. */
  readonly train: Uint32Array;
  readonly valid: Uint32Array;
}

/**
 * Draws round(count × validPct) of `count` samples for validation; depends on the three arguments only.
 * `validPct` is a share of 1, as in fastai. Throws RondoError when either set would be too small.
 */
export function splitSamples(count: number, validPct: number, seed: number): Split {
  checkShare(validPct);
  const validCount = Math.round(count * validPct);
  checkCounts(count - validCount, validCount);
  const order = epochPermutation(seed, splitEpoch, count);
  return { train: order.slice(validCount).sort(), valid: order.slice(0, validCount).sort() };
}

/**
 * Draws round(n × validPct) of each class's n samples for validation, at least one of two or more, and always
 * leaves one to train on; depends on the arguments only. Throws RondoError when either set would be too
 * small.
 */
export function splitByClass(labels: readonly number[] | Uint32Array, validPct: number, seed: number): Split {
  checkShare(validPct);
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  /** Of each class, how many are still to be drawn. */
  const wanted = new Map<number, number>();
  for (const [label, count] of counts) {
    const least = Math.min(1, count - 1);
    wanted.set(label, Math.min(Math.max(Math.round(count * validPct), least), count - 1));
  }
  const valid: number[] = [];
  const train: number[] = [];
  for (const id of epochPermutation(seed, splitEpoch, labels.length)) {
    const left = wanted.get(labels[id]!)!;
    if (left > 0) wanted.set(labels[id]!, left - 1);
    (left > 0 ? valid : train).push(id);
  }
  checkCounts(train.length, valid.length);
  return { train: Uint32Array.from(train).sort(), valid: Uint32Array.from(valid).sort() };
}

/**
 * The sets that `isValid` tells, of samples 0 to `count` − 1. Throws RondoError when either would be too
 * small.
 */
export function splitAsGiven(
  count: number,
  isValid: (id: number) => boolean,
  { source, otherwise }: GivenSplit,
): Split {
  const ids = Array.from({ length: count }, (_, id) => id);
  const valid = Uint32Array.from(ids.filter(isValid));
  const train = Uint32Array.from(ids.filter((id) => !isValid(id)));
  if (train.length >= minTrainCount && valid.length > 0) return { train, valid };
  throw new RondoError(
    'invalid-argument',
    `with ${printable(source)} as validation set there are ${valid.length} images to validate on and ${train.length} to train on`,
    { remedy: `at least 1 and ${minTrainCount} are needed; ${otherwise}` },
  );
}

function checkShare(validPct: number): void {
  if (!(validPct > 0 && validPct < 1)) {
    throw new RondoError('invalid-argument', `the validation share is ${validPct}`, {
      remedy: 'give --valid-pct a number between 0 and 1, for example 0.2',
    });
  }
}

function checkCounts(trainCount: number, validCount: number): void {
  if (validCount >= 1 && trainCount >= minTrainCount) return;
  throw new RondoError(
    'invalid-argument',
    `${trainCount + validCount} images are too few: ${validCount} for validation and ${trainCount} for training`,
    { remedy: `add images or change --valid-pct; at least 1 and ${minTrainCount} are needed` },
  );
}
