import { findMostConfused, supportOf } from '../run-store/measures.js';
import { formatInteger } from '../terminal/figures.js';
import type { Interpretation } from './interpretation.js';

/** Of so many classes the whole matrix is shown, which is then 14,400 cells. */
export const mostWhole = 120;
/** Of more, so many. */
const mostShown = 40;

/** The part of the confusion matrix that is shown: all of it, or the classes that are confused most. */
export interface ConfusionExcerpt {
  /** Indices of classes, in their order. */
  readonly shown: readonly number[];
  /** Whether these are all classes. */
  readonly whole: boolean;
  /** One for each of them. */
  readonly rows: readonly ConfusionRow[];
}

export interface ConfusionRow {
  readonly actual: number;
  /** Images of the class. */
  readonly support: number;
  /** Of them, how many were taken for each class of `shown`. */
  readonly counts: readonly number[];
  /** And for any other. */
  readonly others: number;
}

export function excerptConfusion({ confusion }: Pick<Interpretation, 'confusion'>): ConfusionExcerpt {
  const whole = confusion.length <= mostWhole;
  const shown = whole ? [...confusion.keys()] : chooseClasses(confusion);
  const rows = shown.map((actual): ConfusionRow => {
    const row = confusion[actual]!;
    const support = supportOf(row);
    const counts = shown.map((predicted) => row.get(predicted) ?? 0);
    return { actual, support, counts, others: support - counts.reduce((sum, count) => sum + count, 0) };
  });
  return { shown, whole, rows };
}

/** Those of the most confused pairs; where there are few pairs, the first classes beside them. */
function chooseClasses(confusion: Interpretation['confusion']): number[] {
  const chosen = new Set<number>();
  for (const { actual, predicted } of findMostConfused(confusion, 1)) {
    if (chosen.size + 2 > mostShown) break;
    chosen.add(actual).add(predicted);
  }
  for (const label of confusion.keys()) {
    if (chosen.size === mostShown) break;
    chosen.add(label);
  }
  return [...chosen].sort((a, b) => a - b);
}

/** What a heading says of an excerpt. */
export function describeExcerpt({ shown, whole }: ConfusionExcerpt, classes: readonly string[]): string {
  if (whole) return '';
  return `The ${shown.length} classes that are confused most, of ${formatInteger(classes.length)}; “others” counts the rest.`;
}
