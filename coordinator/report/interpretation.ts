import assert from 'node:assert/strict';
import {
  type ClassScore,
  type Confusion,
  type ConfusionCounts,
  countConfusion,
  type EvaluatedImages,
  findMostConfused,
  type Measures,
  measure,
  scoreClasses,
} from '../run-store/measures.js';

/** What a network said of a validation set; the lists run in parallel, one entry per image. */
export interface EvaluatedSet extends EvaluatedImages {
  readonly classes: readonly string[];
  /** By class, what the criterion's mean weighs images by; null for all 1. */
  readonly classWeights: readonly number[] | null;
  /** Relative to the data folder. */
  readonly paths: readonly string[];
  /** Of the label. */
  readonly probabilities: ArrayLike<number>;
}

/** One image and what was said of it. */
export interface EvaluatedImage {
  readonly path: string;
  /** Indices of classes. */
  readonly actual: number;
  readonly predicted: number;
  /** Null when it was not finite, as JSON has it; so is `probability`. */
  readonly loss: number | null;
  /** Of the actual class. */
  readonly probability: number | null;
}

export interface Interpretation extends Measures {
  readonly classes: readonly string[];
  readonly images: number;
  /** Images whose prediction is not their label. */
  readonly errors: number;
  readonly confusion: ConfusionCounts;
  readonly mostConfused: readonly Confusion[];
  /** Highest loss first. */
  readonly topLosses: readonly EvaluatedImage[];
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
export function interpret(evaluated: EvaluatedSet, { topCount, minCount }: InterpretOptions): Interpretation {
  const { classes, classWeights, paths, labels, predictions, losses, labelRanks, probabilities } = evaluated;
  for (const list of [labels, predictions, losses, labelRanks, probabilities])
    assert.equal(list.length, paths.length);
  const confusion = countConfusion(classes.length, labels, predictions);
  const scores = scoreClasses(confusion);
  const images = paths.length;
  const errors = images - scores.reduce((sum, { correct }) => sum + correct, 0);
  return {
    classes,
    images,
    errors,
    ...measure(evaluated, classes.length, classWeights, confusion),
    confusion,
    mostConfused: findMostConfused(confusion, minCount),
    topLosses: rankLosses(losses)
      .slice(0, topCount)
      .map((index) => evaluatedImageAt(evaluated, index)),
    scores,
  };
}

export function evaluatedImageAt(evaluated: EvaluatedSet, index: number): EvaluatedImage {
  return {
    path: evaluated.paths[index]!,
    actual: evaluated.labels[index]!,
    predicted: evaluated.predictions[index]!,
    loss: finiteOrNull(evaluated.losses[index]!),
    probability: finiteOrNull(evaluated.probabilities[index]!),
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

function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
