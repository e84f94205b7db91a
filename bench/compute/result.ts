import { type Quantiles, quantilesOf } from '../support/quantiles.js';
import { formatTable } from '../support/table.js';
import { pairedRatios } from '../support/take-turns.js';
import type { Workers } from '../support/workers.js';
import type { Figure, Work } from './implementation.js';

export interface ResultRow {
  readonly name: string;
  readonly work: Work;
  readonly imagesPerSecond: Quantiles;
  readonly cpuSecondsPerImage: Quantiles;
  /**
   * The first row's images/s over this one's of the same turn, and processor time the other way round; above
   * 1, the first is ahead. Null in the first row.
   */
  readonly ratio: { readonly speed: Quantiles; readonly cpu: Quantiles } | null;
}

export interface Result {
  readonly size: number;
  readonly workers: Workers;
  readonly implementations: readonly ResultRow[];
}

export interface MeasuredEntry extends Pick<ResultRow, 'name' | 'work'> {
  /** By turn. */
  readonly figures: readonly Figure[];
}

/** Compares the first row with the others. */
export function summarize(
  configuration: Pick<Result, 'size' | 'workers'>,
  entries: readonly MeasuredEntry[],
): Result {
  const first = entries[0]!.figures;
  return {
    ...configuration,
    implementations: entries.map(({ name, work, figures }, index) => ({
      ...{ name, work },
      imagesPerSecond: quantilesOf(figures.map(speedOf)),
      cpuSecondsPerImage: quantilesOf(figures.map(cpuOf)),
      ratio:
        index === 0
          ? null
          : { speed: ratiosOf(first, figures, speedOf), cpu: ratiosOf(figures, first, cpuOf) },
    })),
  };
}

function ratiosOf(
  figures: readonly Figure[],
  others: readonly Figure[],
  read: (figure: Figure) => number,
): Quantiles {
  return quantilesOf(pairedRatios(figures.map(read), others.map(read)));
}

const speedOf = (figure: Figure) => figure.imagesPerSecond;
const cpuOf = (figure: Figure) => figure.cpuSecondsPerImage;

export function formatResult({ size, workers, implementations }: Result): string {
  const head = [
    `${size} px, ${workers.processes} × ${workers.threads} threads`,
    ...['images/s', 'p10', 'p90', 'CPU ms/image', 'ratio', 'p10', 'p90', 'CPU ratio'],
  ];
  const rows = implementations.map(({ name, work, imagesPerSecond, cpuSecondsPerImage, ratio }) => [
    work === 'frozen' ? `${name}, frozen` : name,
    ...inOrder(imagesPerSecond).map((value) => value.toFixed(1)),
    (1000 * cpuSecondsPerImage.median).toFixed(1),
    ...(ratio === null
      ? ['', '', '', '']
      : [...inOrder(ratio.speed), ratio.cpu.median].map((value) => value.toFixed(2))),
  ]);
  return formatTable(head, rows);
}

const inOrder = ({ median, p10, p90 }: Quantiles) => [median, p10, p90];
