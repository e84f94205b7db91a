import { largest } from '../../runtime/extremes.js';
import { formatCount, formatLoss, formatPercent } from '../terminal/figures.js';
import type { Interpretation } from './interpretation.js';

const mostPairs = 10;
const mostClasses = 5;

/** The short of a report, for a terminal. */
export function renderInterpretation(interpretation: Interpretation): string[] {
  const { images, errors, errorRate, validLoss, balancedError, macroF1, top5Error } = interpretation;
  return [
    `error rate ${formatLoss(errorRate, 4)} (${errors} of ${formatCount(images, 'image')}), loss ${formatLoss(validLoss, 4)}`,
    `balanced error ${formatLoss(balancedError, 4)}, macro F1 ${formatLoss(macroF1, 4)}, top-5 error ${formatLoss(top5Error, 4)}`,
    '',
    ...renderPairs(interpretation),
    ...renderHardest(interpretation),
  ];
}

function renderPairs({ classes, mostConfused }: Interpretation): string[] {
  if (mostConfused.length === 0) return [];
  const rows = mostConfused
    .slice(0, mostPairs)
    .map(({ actual, predicted, count }) => [classes[actual]!, classes[predicted]!, String(count)]);
  return [...alignColumns([['actual', 'taken for', 'images'], ...rows], 2), ''];
}

/** Classes that are missed most often. */
function renderHardest({ classes, scores }: Interpretation): string[] {
  const missed = scores
    .map((score, index) => ({ ...score, name: classes[index]! }))
    .filter(({ recall }) => recall !== null && recall < 1)
    .sort((a, b) => a.recall! - b.recall!)
    .slice(0, mostClasses);
  if (missed.length === 0) return [];
  const rows = missed.map(({ name, recall, precision, support }) => [
    name,
    formatPercent(recall),
    formatPercent(precision),
    String(support),
  ]);
  return [...alignColumns([['hardest class', 'recall', 'precision', 'images'], ...rows], 1), ''];
}

/** The first `nameCount` columns begin, and the figures after them end, under each other. */
function alignColumns(rows: readonly (readonly string[])[], nameCount: number): string[] {
  const widths = rows[0]!.map((_, column) => largest(rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column < nameCount ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
      )
      .join('  ')
      .trimEnd(),
  );
}
