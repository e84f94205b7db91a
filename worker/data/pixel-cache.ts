import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Dataset } from '../../proto/gen/coordinator.js';
import { decoderVersion } from '../../runtime/images.js';
import { createMemoryPixels } from './memory-pixels.js';
import { openPixelFile, type PixelFile } from './pixel-file.js';
import type { Split } from './source.js';

/** Raised when the same bytes and presize give other pixels, or records are laid out in another way. */
const formatVersion = 3;

/** Presized images by split and id: nothing is decoded twice on a machine while there is room. */
export interface PixelCache {
  /** Copies an image into `into`, [presize, presize, 3]; false when it is not held. */
  get(split: Split, id: number, into: Uint8Array): Promise<boolean>;
  /** Never rejects: what cannot be kept is decoded again. */
  put(split: Split, id: number, pixels: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

export interface PixelCacheOptions {
  readonly dataset: Dataset;
  readonly presize: number;
  /** Bytes of shared memory to fill at most; 0 for none. */
  readonly memoryBytes: number;
  readonly cacheDir: string;
  /** Told once when the disk cannot be used. */
  warn(message: string): void;
}

/**
 * Memory up to its budget in front of a file in `cacheDir`. Every image goes to the file too, not only what memory has no
 * room for: with a new order each epoch, a worker's next images are mostly ones that other workers decoded.
 */
export async function openPixelCache(o: PixelCacheOptions): Promise<PixelCache> {
  const imageBytes = o.presize * o.presize * 3;
  const record = recordNumbers(o.dataset);
  const count = o.dataset.train.length + o.dataset.valid.length;
  const memory = createMemoryPixels(count, imageBytes, o.memoryBytes);
  const salt = cacheKey(o.dataset.digest, o.presize);
  const fileName = path.join(o.cacheDir, `pixels-${o.presize}-${salt.slice(0, 16)}.bin`);
  let file: PixelFile | undefined;
  const giveUpDisk = (problem: string): void => {
    if (file !== undefined) void file.close().catch(() => {});
    file = undefined;
    o.warn(`images are not cached in ${fileName}: ${problem}`);
  };
  try {
    file = await openPixelFile(fileName, { count, imageBytes, salt });
    if (file === undefined)
      o.warn(`images are not cached in ${fileName}: the disk has too little free space`);
  } catch (error) {
    giveUpDisk(String(error));
  }
  return {
    async get(split, id, into) {
      const index = record[split][id]!;
      if (memory.get(index, into)) return true;
      if (file === undefined) return false;
      // A disk that fails to read is no reason to stop: the source still has the image.
      const onDisk = await file.get(index, into).catch(() => false);
      if (onDisk) memory.put(index, into);
      return onDisk;
    },
    async put(split, id, pixels) {
      const index = record[split][id]!;
      memory.put(index, pixels);
      const writing = file;
      await writing?.put(index, pixels).catch((error: unknown) => {
        if (file === writing) giveUpDisk(String(error));
      });
    },
    async close() {
      const closing = file;
      file = undefined;
      await closing?.close();
    },
  };
}

function cacheKey(datasetDigest: string, presize: number): string {
  const parts = [formatVersion, datasetDigest, presize, decoderVersion];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** Record numbers in order of path, so that another split of the same files finds the same records. */
function recordNumbers(dataset: Dataset): Record<Split, Uint32Array> {
  const numbers = {
    train: new Uint32Array(dataset.train.length),
    valid: new Uint32Array(dataset.valid.length),
  };
  const all = (['train', 'valid'] as const).flatMap((split) =>
    dataset[split].map(({ path }, id) => ({ path, split, id })),
  );
  all.sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const [index, { split, id }] of all.entries()) numbers[split][id] = index;
  return numbers;
}
