import { type Environment, formatEnvironment } from '../support/environment.js';
import { quantilesOf } from '../support/quantiles.js';
import { formatTable } from '../support/table.js';
import type { LoaderFigures } from './measure.js';

export interface LoaderReport {
  readonly bench: 'loader';
  readonly environment: Environment;
  readonly versions: Readonly<Record<string, string>>;
  readonly images: number;
  readonly presize: number;
  readonly microBatch: number;
  /** Of the loader's pool, and processes of the peer. */
  readonly threads: number;
  readonly figures: LoaderFigures;
  /** The peer's images per second, one figure per round. */
  readonly peer: readonly number[] | null;
}

/** A table of images/s over the rounds, with the ratio to the peer's median where there is one. */
export function formatReport(report: LoaderReport): string {
  const { figures, peer, images, presize, threads, environment } = report;
  const measured: [string, readonly number[]][] = [
    ['first epoch (decode, cache)', figures.firstEpoch],
    ['later epochs, from memory', figures.fromMemory],
    ['later epochs, from disk', figures.fromDisk],
  ];
  if (peer !== null) measured.push(['PIL + torchvision, every epoch', peer]);
  const rows = measured.map(([name, values]) => {
    const { p10, median, p90 } = quantilesOf(values);
    const ratio = peer === null ? '-' : (median / quantilesOf(peer).median).toFixed(2);
    return [name, median.toFixed(0), p10.toFixed(0), p90.toFixed(0), ratio];
  });
  return [
    formatEnvironment(environment),
    `${images} JPEG files of 500 × 375 to ${presize} × ${presize}, ${threads} threads`,
    formatTable(['', 'images/s', 'p10', 'p90', 'ratio'], rows),
  ].join('\n');
}
