import type { LoaderFigures } from './measure.js';

export interface PeerFigures {
  /** Images per second of each round; PyTorch's loader decodes anew in every epoch. */
  readonly everyEpoch: number[];
  readonly versions: Readonly<Record<string, string>>;
}

export interface LoaderReport {
  readonly bench: 'loader';
  readonly images: number;
  readonly presize: number;
  readonly microBatch: number;
  /** Of the loader's pool, and processes of the peer. */
  readonly threads: number;
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly figures: LoaderFigures;
  readonly peer: readonly number[] | null;
}

/** A table of medians, least and greatest in images/s, with the ratio to the peer's median where there is one. */
export function formatReport(report: LoaderReport): string {
  const { figures, peer, images, presize, threads, machine } = report;
  const rows: [string, readonly number[]][] = [
    ['first epoch (decode, cache)', figures.firstEpoch],
    ['later epochs, from memory', figures.fromMemory],
    ['later epochs, from disk', figures.fromDisk],
    ...(peer === null ? [] : [['PIL + torchvision, every epoch', peer] as [string, readonly number[]]]),
  ];
  const cells = rows.map(([name, values]) => [
    name,
    median(values).toFixed(0),
    Math.min(...values).toFixed(0),
    Math.max(...values).toFixed(0),
    peer === null ? '-' : (median(values) / median(peer)).toFixed(2),
  ]);
  const table = [['', 'images/s', 'least', 'most', 'ratio'], ...cells].map(([name, ...columns]) =>
    [name!.padEnd(32), ...columns.map((column) => column.padStart(9))].join(''),
  );
  const title = `${images} JPEG files of 500 × 375 to ${presize} × ${presize}, ${threads} threads, ${machine}`;
  return [title, ...table].join('\n');
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
