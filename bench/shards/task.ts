import { z } from 'zod';

/** One pass of an implementation, in a process of its own that begins without anything cached. */
export const passSchema = z.object({
  /** Folder or URL of what `coordinator pack` wrote. */
  packed: z.string(),
  /** Folder or URL of the same images as Streaming's shards. */
  streaming: z.string(),
  /** Names of the tars. */
  tars: z.array(z.string()).readonly(),
  images: z.int().positive(),
  /** Of all images' files. */
  imageBytes: z.int().positive(),
  /** Side of the network's input, in pixels. */
  size: z.int().positive(),
  /** Short side that images are decoded to, in pixels: what a run of this size has. */
  presize: z.int().positive(),
  /** Images of a batch of the peers, and of a micro-batch of Rondo. */
  batch: z.int().positive(),
  /** Images of a step of Rondo: whole micro-batches. */
  step: z.int().positive(),
  /** Threads of Rondo, worker processes of the peers. */
  workers: z.int().positive(),
  /** Images of the epoch that an earlier process has consumed: whole steps. */
  consumed: z.int().nonnegative(),
  /** Shards whose images Rondo mixes at a time, fetching shards whole; 0: all images, fetched one by one. */
  window: z.int().nonnegative(),
  /** An empty folder. */
  cacheDir: z.string(),
});
export type Pass = Readonly<z.infer<typeof passSchema>>;

export const passResultSchema = z.object({
  /** From when the program was loaded. */
  firstBatchSeconds: z.number(),
  seconds: z.number(),
  /** Of the process and those it started. */
  cpuSeconds: z.number(),
  images: z.int(),
  /** Of the files of those images; the peers answer their part of all. */
  imageBytes: z.number(),
});
export type PassResult = Readonly<z.infer<typeof passResultSchema>>;
