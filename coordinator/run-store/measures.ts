import { type Criterion, meanLoss } from '../../plan/criterion.js';
import { scoreClasses } from './class-scores.js';
import { type ConfusionMatrix, countConfusion } from './confusion.js';

/** What a network said of labelled images; the lists run in parallel, one entry per image. */
export interface EvaluatedImages {
  /** Indices of classes, like `predictions`. */
  readonly labels: ArrayLike<number>;
  readonly predictions: ArrayLike<number>;
  /** By the training criterion, mixup aside. */
  readonly losses: ArrayLike<number>;
  /** How many classes the network finds likelier than the label. */
  readonly labelRanks: ArrayLike<number>;
}

/**
 * What a network is worth on these images. Null where there is nothing to divide by, or the result is not
 * finite.
 */
export interface Measures {
  /** The mean of the training criterion, mixup aside. */
  readonly validLoss: number | null;
  /** Share of the images whose prediction is not their label. */
  readonly errorRate: number | null;
  /** 1 − the mean recall of the classes that have images (scikit-learn's balanced_accuracy_score). */
  readonly balancedError: number | null;
  /**
   * The mean F1 of the classes that have images or were predicted (scikit-learn's f1_score, average 'macro').
   */
  readonly macroF1: number | null;
  /** Share of the images whose label is not among the five likeliest classes. */
  readonly top5Error: number | null;
}

export function measure(
  evaluated: EvaluatedImages,
  classCount: number,
  classWeights: Criterion['classWeights'],
  confusion: ConfusionMatrix = countConfusion(classCount, evaluated.labels, evaluated.predictions),
): Measures {
  const { labels, predictions, losses, labelRanks } = evaluated;
  const count = labels.length;
  const scores = scoreClasses(confusion);
  const recall = mean(scores.map((score) => score.recall));
  let [wrong, missed] = [0, 0];
  for (let index = 0; index < count; index += 1) {
    if (predictions[index] !== labels[index]) wrong += 1;
    if (labelRanks[index]! >= 5) missed += 1;
  }
  return {
    validLoss: finiteOrNull(meanLoss(losses, labels, classWeights)),
    errorRate: finiteOrNull(wrong / count),
    balancedError: recall === null ? null : 1 - recall,
    macroF1: mean(scores.map((score) => score.f1)),
    top5Error: finiteOrNull(missed / count),
  };
}

/** Of those that are a number; null when none is. */
function mean(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return finiteOrNull(known.reduce((sum, value) => sum + value, 0) / known.length);
}

function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
