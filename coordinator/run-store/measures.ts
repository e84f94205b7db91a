import { type Criterion, meanLoss } from '../../plan/criterion.js';

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
  confusion: ConfusionCounts = countConfusion(classCount, evaluated.labels, evaluated.predictions),
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

/** One class against all others. A ratio of 0 to 0 is null: there was nothing to be right or wrong about. */
export interface ClassScore {
  /** Images of the class. */
  readonly support: number;
  /** Images that were taken for it. */
  readonly predicted: number;
  /** Of these, rightly. */
  readonly correct: number;
  /** correct / predicted; null when no image was taken for the class. */
  readonly precision: number | null;
  /** correct / support; null when the class has no image. */
  readonly recall: number | null;
  /** 2 correct / (support + predicted), the harmonic mean of both; null when both are. */
  readonly f1: number | null;
}

/** In the order of the classes. */
export function scoreClasses(confusion: ConfusionCounts): ClassScore[] {
  const predictedOf = new Float64Array(confusion.length);
  for (const row of confusion) {
    for (const [predicted, count] of row) predictedOf[predicted]! += count;
  }
  return confusion.map((row, index) => {
    const support = supportOf(row);
    const predicted = predictedOf[index]!;
    const correct = row.get(index) ?? 0;
    return {
      support,
      predicted,
      correct,
      precision: ratio(correct, predicted),
      recall: ratio(correct, support),
      f1: ratio(2 * correct, support + predicted),
    };
  });
}

function ratio(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}

/**
 * By actual class, how often each class was predicted that was: a matrix of thousands of classes holds little else than
 * zeros.
 */
export type ConfusionCounts = readonly ReadonlyMap<number, number>[];

/** How often one class was taken for another. */
export interface Confusion {
  /** Indices of classes. */
  readonly actual: number;
  readonly predicted: number;
  readonly count: number;
}

/** `labels` and `predictions` run in parallel and are indices below `classCount`. */
export function countConfusion(
  classCount: number,
  labels: ArrayLike<number>,
  predictions: ArrayLike<number>,
): ConfusionCounts {
  const rows = Array.from({ length: classCount }, () => new Map<number, number>());
  for (let index = 0; index < labels.length; index += 1) {
    const row = rows[labels[index]!]!;
    const predicted = predictions[index]!;
    row.set(predicted, (row.get(predicted) ?? 0) + 1);
  }
  return rows;
}

/** Images of the class. */
export function supportOf(row: ConfusionCounts[number]): number {
  let support = 0;
  for (const count of row.values()) support += count;
  return support;
}

/**
 * Off the diagonal, at least `minCount` times, most often first; ties in row-major order (fastai's
 * `most_confused`).
 */
export function findMostConfused(confusion: ConfusionCounts, minCount: number): Confusion[] {
  const pairs: Confusion[] = [];
  for (const [actual, row] of confusion.entries()) {
    for (const [predicted, count] of row) {
      if (actual !== predicted && count >= minCount) pairs.push({ actual, predicted, count });
    }
  }
  return pairs.sort((a, b) => b.count - a.count || a.actual - b.actual || a.predicted - b.predicted);
}
