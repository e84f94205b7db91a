import assert from 'node:assert/strict';
import { type ClassScore, scoreClasses } from './class-scores.js';
import { type Confusion, type ConfusionMatrix, countConfusion, findMostConfused } from './confusion.js';

/** What a network said of a validation set; the five lists run in parallel, one entry per image. */
export interface Judgements {
  readonly classes: readonly string[];
  /** Relative to the data folder. */
  readonly paths: readonly string[];
  /** Indices of `classes`, like `predictions`. */
  readonly labels: ArrayLike<number>;
  readonly predictions: ArrayLike<number>;
  readonly losses: ArrayLike<number>;
  /** Of the label. */
  readonly probabilities: ArrayLike<number>;
}

/** One image and what was said of it. */
export interface Judgement {
  readonly path: string;
  /** Indices of classes. */
  readonly actual: number;
  readonly predicted: number;
  /** Null when it was not finite, as JSON has it; so is `probability`. */
  readonly loss: number | null;
  /** Of the actual class. */
  readonly probability: number | null;
}

export interface Interpretation {
  readonly classes: readonly string[];
  readonly images: number;
  /** Images whose prediction is not their label. */
  readonly errors: number;
  /** errors / images; null without images. */
  readonly errorRate: number | null;
  /** Mean over the images; null when it is not finite. */
  readonly validLoss: number | null;
  readonly confusion: ConfusionMatrix;
  readonly mostConfused: readonly Confusion[];
  /** Highest loss first. */
  readonly topLosses: readonly Judgement[];
  /** By class. */
  readonly scores: readonly ClassScore[];
}

export interface InterpretOptions {
  /** Length of `topLosses`, at most. */
  readonly topCount: number;
  /** Smallest count in `mostConfused`. */
  readonly minCount: number;
}

/** A pure function of its arguments. Definitions are fastai's (`ClassificationInterpretation`). */
export function interpret(judgements: Judgements, { topCount, minCount }: InterpretOptions): Interpretation {
  const { classes, paths, labels, predictions, losses, probabilities } = judgements;
  for (const list of [labels, predictions, losses, probabilities]) assert.equal(list.length, paths.length);
  const confusion = countConfusion(classes.length, labels, predictions);
  const scores = scoreClasses(confusion);
  const images = paths.length;
  const errors = images - scores.reduce((sum, { correct }) => sum + correct, 0);
  return {
    classes,
    images,
    errors,
    errorRate: finiteOrNull(errors / images),
    validLoss: finiteOrNull(sum(losses) / images),
    confusion,
    mostConfused: findMostConfused(confusion, minCount),
    topLosses: rankLosses(losses)
      .slice(0, topCount)
      .map((index) => judgementAt(judgements, index)),
    scores,
  };
}

export function judgementAt(judgements: Judgements, index: number): Judgement {
  return {
    path: judgements.paths[index]!,
    actual: judgements.labels[index]!,
    predicted: judgements.predictions[index]!,
    loss: finiteOrNull(judgements.losses[index]!),
    probability: finiteOrNull(judgements.probabilities[index]!),
  };
}

/** Positions by loss, highest first, ties in order; a loss that is not a number is worse than any that is. */
function rankLosses(losses: ArrayLike<number>): number[] {
  const rank = (index: number) => (Number.isNaN(losses[index]) ? Number.POSITIVE_INFINITY : losses[index]!);
  return Array.from(losses, (_, index) => index).sort((a, b) => {
    const [first, second] = [rank(a), rank(b)];
    return first === second ? a - b : second - first;
  });
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let index = 0; index < values.length; index += 1) total += values[index]!;
  return total;
}

function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
