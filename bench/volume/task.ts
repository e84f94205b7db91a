import { z } from 'zod';

/** What a worker's process is opened with: a source, and its share of each epoch. */
export const placeSchema = z.object({
  /** Folder or URL of what `coordinator pack` wrote. */
  packed: z.string(),
  /** All workers' cache of what was fetched and decoded. */
  cacheDir: z.string(),
  presize: z.int().positive(),
  size: z.int().positive(),
  batch: z.int().positive(),
  rank: z.int().nonnegative(),
  workers: z.int().positive(),
});
export type Place = Readonly<z.infer<typeof placeSchema>>;

/** A part of an epoch: so many of `pieces` of about the same length. */
export const passSchema = z.object({
  epoch: z.int().nonnegative(),
  piece: z.int().nonnegative(),
  pieces: z.int().positive(),
});
export type Pass = Readonly<z.infer<typeof passSchema>>;

/** A worker's share of a part of an epoch. */
export const shareSchema = z.object({
  /** Seconds since 1970. */
  started: z.number(),
  ended: z.number(),
  images: z.int(),
  cpuSeconds: z.number(),
});
export type Share = Readonly<z.infer<typeof shareSchema>>;
