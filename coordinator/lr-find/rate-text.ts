import { formatCount } from '../terminal/figures.js';
import type { RatePoint, Suggestions } from './suggestions.js';

const tableRows = 16;
/** Beyond this ratio one of the two suggestions is noise. */
const farApart = 100;

/** Two digits, as rates are chosen: 3.2e-3. */
export function formatRate(rate: number): string {
  return rate.toExponential(1);
}

/** The curve as a table of at most `tableRows` rows, evenly spaced, from its first point to its last. */
export function renderCurve(points: readonly RatePoint[]): string[] {
  const gaps = Math.max(1, Math.ceil((points.length - 1) / (tableRows - 1)));
  const rows = points.filter((_, index) => index % gaps === 0 || index === points.length - 1);
  return [
    'step  learning_rate  loss      smoothed',
    ...rows.map(({ step, learningRate, loss, smoothed }) =>
      [
        String(step).padEnd(4),
        learningRate.toExponential(2).padEnd(13),
        formatLoss(loss).padEnd(8),
        formatLoss(smoothed),
      ].join('  '),
    ),
  ];
}

export function renderSuggestions(suggestions: Suggestions | null, points: number): string[] {
  if (suggestions === null) {
    return [
      `${formatCount(points, 'step')} are too few to suggest a rate: give --min-lr a smaller one, or more --steps`,
    ];
  }
  const { steepest, minimumTenth } = suggestions;
  const lines = [
    `steepest descent:        ${formatRate(steepest.learningRate)}   where the loss falls fastest`,
    `a tenth of the minimum:  ${formatRate(minimumTenth.learningRate)}   safely below where the loss is lowest`,
  ];
  if (minimumTenth.learningRate > farApart * steepest.learningRate) {
    lines.push(
      'they are far apart: the batches’ noise looks steep at the start; trust the second, and the drawing',
    );
  }
  return lines;
}

function formatLoss(loss: number | null): string {
  if (loss === null) return 'nan';
  return Math.abs(loss) < 1e4 ? loss.toFixed(4) : loss.toExponential(2);
}
