import { type Environment, formatEnvironment } from '../support/environment.js';
import { quantilesOf } from '../support/quantiles.js';
import { formatTable } from '../support/table.js';
import { pairedRatios } from '../support/take-turns.js';
import type { Pictures, Speeds } from './task.js';

export interface LoaderReport extends Omit<Pictures, 'files'> {
  readonly bench: 'loader';
  readonly environment: Environment;
  readonly versions: Readonly<Record<string, string>>;
  readonly images: number;
  readonly rounds: number;
  /** By contestant and round: Rondo's, and the peer's where there is one. */
  readonly speeds: readonly (readonly Speeds[])[];
}

/** A table of images/s over the rounds, with the ratio to the peer's of the same round where there is one. */
export function formatReport(report: LoaderReport): string {
  const { speeds, images, presize, workers, environment } = report;
  const { processes, threads } = workers;
  const measured = speeds.flatMap((rounds) =>
    Object.keys(rounds[0]!).map((name) => ({ name, values: rounds.map((round) => round[name]!) })),
  );
  const peer = speeds.length > 1 ? measured.at(-1)!.values : null;
  const rows = measured.map(({ name, values }) => {
    const { p10, median, p90 } = quantilesOf(values);
    const ratio = peer === null ? '-' : quantilesOf(pairedRatios(values, peer)).median.toFixed(2);
    return [name, median.toFixed(0), p10.toFixed(0), p90.toFixed(0), ratio];
  });
  return [
    formatEnvironment(environment),
    `${images} JPEG files of 500 × 375 to ${presize} × ${presize}, ${processes} × ${threads} threads`,
    formatTable(['', 'images/s', 'p10', 'p90', 'ratio'], rows),
  ].join('\n');
}
