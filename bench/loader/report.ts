import { type Environment, formatEnvironment } from '../support/environment.js';
import { type Quantiles, quantilesOf } from '../support/quantiles.js';
import { formatTable } from '../support/table.js';
import { pairedRatios } from '../support/take-turns.js';
import type { Pictures, Speeds } from './task.js';

export interface Result {
  readonly name: string;
  /** Over the rounds. */
  readonly imagesPerSecond: Quantiles;
  /** To the peer's of the same round; null without a peer. */
  readonly ratio: Quantiles | null;
}

export interface LoaderReport extends Omit<Pictures, 'files'> {
  readonly bench: 'loader';
  readonly environment: Environment;
  readonly versions: Readonly<Record<string, string>>;
  readonly images: number;
  readonly rounds: number;
  readonly results: readonly Result[];
}

/**
 * What was measured, in the order of the implementations. `speeds` are by implementation and round: Rondo's,
 * and the peer's where there is one.
 */
export function summarize(speeds: readonly (readonly Speeds[])[]): Result[] {
  const measured = speeds.flatMap((rounds) =>
    Object.keys(rounds[0]!).map((name) => ({ name, values: rounds.map((round) => round[name]!) })),
  );
  const peer = speeds.length > 1 ? measured.at(-1)!.values : null;
  return measured.map(({ name, values }) => ({
    name,
    imagesPerSecond: quantilesOf(values),
    ratio: peer === null ? null : quantilesOf(pairedRatios(values, peer)),
  }));
}

/** A table of images/s, with the median ratio to the peer where there is one. */
export function formatReport({ results, images, presize, workers, environment }: LoaderReport): string {
  const { processes, threads } = workers;
  const rows = results.map(({ name, imagesPerSecond: { p10, median, p90 }, ratio }) => [
    name,
    ...[median, p10, p90].map((value) => value.toFixed(0)),
    ratio === null ? '-' : ratio.median.toFixed(2),
  ]);
  return [
    formatEnvironment(environment),
    `${images} JPEG files of 500 × 375 to a short side of ${presize}, ${processes} × ${threads} threads`,
    formatTable(['', 'images/s', 'p10', 'p90', 'ratio'], rows),
  ].join('\n');
}
