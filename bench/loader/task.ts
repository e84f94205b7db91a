import { z } from 'zod';

const count = z.int().positive();

const picturesSchema = z.object({
  files: z.array(z.string()).readonly(),
  /** Short side that images are resized to, in pixels. */
  presize: count,
  microBatch: count,
  /** Of Rondo; the peer has as many processes as these have threads. */
  workers: z.object({ processes: count, threads: count }).readonly(),
});

/** What every implementation is opened with. */
export type Pictures = Readonly<z.infer<typeof picturesSchema>>;

export const placeSchema = picturesSchema.extend({ rank: z.int().nonnegative() });

/** What a worker's process is opened with, as JSON in its first argument. */
export type Place = Readonly<z.infer<typeof placeSchema>>;

export const passSchema = z.object({
  /**
   * Where its pixels are: nowhere but in the files, in the memory of the process that decoded them, or on
   * disk.
   */
  from: z.enum(['files', 'memory', 'disk']),
  /** All workers' cache. */
  cacheDir: z.string(),
});

/** One epoch of a worker: which loads its share of the micro-batches. */
export type Pass = Readonly<z.infer<typeof passSchema>>;

/** When a worker's pass began and ended, in seconds since 1970. */
export const spanSchema = z.tuple([z.number(), z.number()]).readonly();
export type Span = z.infer<typeof spanSchema>;

export const speedsSchema = z.record(z.string(), z.number());

/**
 * What an implementation measures in a round, in images per second: by the name of what was measured, in
 * order.
 */
export type Speeds = Readonly<z.infer<typeof speedsSchema>>;

export interface Implementation {
  measure(): Promise<Speeds>;
  close(): Promise<void>;
}
