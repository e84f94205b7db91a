import type { ConfusionMatrix } from './confusion.js';

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
export function scoreClasses(matrix: ConfusionMatrix): ClassScore[] {
  return matrix.map((row, index) => {
    const support = row.reduce((sum, count) => sum + count, 0);
    const predicted = matrix.reduce((sum, other) => sum + other[index]!, 0);
    const correct = row[index]!;
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
