import { largest } from '../../runtime/extremes.js';
import type { Prediction, UnreadableImage } from './predict-images.js';

/** One line for each image: its name, then the likeliest classes with their probabilities. */
export function renderPredictions(results: readonly (Prediction | UnreadableImage)[]): string[] {
  const names = largest(
    results.map(({ image }) => image.length),
    5,
  );
  const classes = largest(
    results.flatMap((result) => ('top' in result ? result.top.map((entry) => entry.class.length) : [])),
    5,
  );
  const cell = (name: string, figure: string) => `${name.padEnd(classes)} ${figure.padStart(6)}`;
  const ranks = largest(
    results.map((result) => ('top' in result ? result.top.length : 0)),
    0,
  );
  const head = Array.from({ length: ranks }, (_, rank) => cell(rank === 0 ? 'class' : 'or', 'prob.'));
  return [
    [`${'image'.padEnd(names)}`, ...head].join('  ').trimEnd(),
    ...results.map((result) => {
      const cells =
        'top' in result
          ? result.top.map((entry) => cell(entry.class, entry.probability.toFixed(4)))
          : [`unreadable: ${result.reason}`];
      return [result.image.padEnd(names), ...cells].join('  ').trimEnd();
    }),
  ];
}
