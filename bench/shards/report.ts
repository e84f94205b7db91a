import { type Quantiles, quantilesOf } from '../support/quantiles.js';
import { formatTable } from '../support/table.js';
import { pairedRatios } from '../support/take-turns.js';
import type { PassResult } from './task.js';

export interface Measured extends PassResult {
  /** That a server sent. */
  readonly bytes: number;
}

/** A row over its rounds, beside `own` ones, Rondo's of the same rounds; null for those themselves. */
export function summarize(
  name: string,
  from: string,
  consumed: number,
  rounds: readonly Measured[],
  own: readonly Measured[] | null,
) {
  const middle = (figure: (measured: Measured) => number) => quantilesOf(rounds.map(figure)).median;
  const speed = ({ images, seconds }: Measured) => images / seconds;
  const cost = ({ images, cpuSeconds }: Measured) => (1_000 * cpuSeconds) / images;
  return {
    ...{ name, from, consumed, images: rounds[0]!.images },
    imagesPerSecond: middle(speed),
    /** Rondo's images/s to these; above 1 Rondo is faster. */
    ratio: own && quantilesOf(pairedRatios(own.map(speed), rounds.map(speed))),
    cpuMs: middle(cost),
    /** This processor time to Rondo's; above 1 Rondo needs less. */
    cpuRatio: own && quantilesOf(pairedRatios(rounds.map(cost), own.map(cost))),
    firstBatchSeconds: middle(({ firstBatchSeconds }) => firstBatchSeconds),
    megabytes: middle(({ bytes }) => bytes / 1e6),
    /** Sent beyond the files of the images that were given. */
    moreMegabytes: middle(({ bytes, imageBytes }) => (bytes - imageBytes) / 1e6),
  };
}

export function format(results: readonly ReturnType<typeof summarize>[]): string {
  const head = [
    '',
    'images',
    'images/s',
    'ratio',
    'CPU ms/image',
    'CPU ratio',
    'first batch s',
    'MB sent',
    'MB more',
  ];
  const spread = (ratio: Quantiles | null) => {
    if (ratio === null) return '1';
    const [median, p10, p90] = [ratio.median, ratio.p10, ratio.p90].map((value) => value.toFixed(2));
    return `${median} (${p10}–${p90})`;
  };
  const rows = results.map((result) => [
    `${result.name}, ${result.from}${result.consumed > 0 ? ', resumed' : ''}`,
    String(result.images),
    result.imagesPerSecond.toFixed(0),
    spread(result.ratio),
    result.cpuMs.toFixed(2),
    spread(result.cpuRatio),
    result.firstBatchSeconds.toFixed(2),
    ...[result.megabytes, result.moreMegabytes].map((value) =>
      result.from === 'local' ? '-' : value.toFixed(1),
    ),
  ]);
  return formatTable(head, rows);
}
