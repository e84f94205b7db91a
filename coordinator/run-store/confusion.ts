/** Rows are actual classes, columns predicted ones. */
export type ConfusionMatrix = readonly (readonly number[])[];

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
): ConfusionMatrix {
  const rows = Array.from({ length: classCount }, () => new Array<number>(classCount).fill(0));
  for (let index = 0; index < labels.length; index += 1) {
    rows[labels[index]!]![predictions[index]!]! += 1;
  }
  return rows;
}

/**
 * Off the diagonal, at least `minCount` times, most often first; ties in row-major order (fastai's
 * `most_confused`).
 */
export function findMostConfused(matrix: ConfusionMatrix, minCount: number): Confusion[] {
  return matrix
    .flatMap((row, actual) => row.map((count, predicted) => ({ actual, predicted, count })))
    .filter(({ actual, predicted, count }) => actual !== predicted && count >= Math.max(1, minCount))
    .sort((a, b) => b.count - a.count);
}
