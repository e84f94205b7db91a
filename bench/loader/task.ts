import type { Workers } from '../support/workers.js';

/** What every implementation is opened with. */
export interface Pictures {
  readonly files: readonly string[];
  /** Short side that images are resized to, in pixels. */
  readonly presize: number;
  readonly microBatch: number;
  /** Of Rondo; the peer has as many processes as these have threads. */
  readonly workers: Workers;
}

/** What a worker's process is opened with, as JSON in its first argument. */
export interface Place extends Pictures {
  readonly rank: number;
}

/** One epoch of a worker: which loads its share of the micro-batches. */
export interface Pass {
  /**
   * Where its pixels are: nowhere but in the files, in the memory of the process that decoded them, or on
   * disk.
   */
  readonly from: 'files' | 'memory' | 'disk';
  /** All workers' cache. */
  readonly cacheDir: string;
}

/** When a worker's pass began and ended, in seconds since 1970. */
export type Span = readonly [start: number, end: number];

/**
 * What a implementation measures in a round, in images per second: by the name of what was measured, in
 * order.
 */
export type Speeds = Readonly<Record<string, number>>;

export interface Implementation {
  measure(): Promise<Speeds>;
  close(): Promise<void>;
}
