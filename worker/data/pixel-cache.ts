import { createHash } from 'node:crypto';
import path from 'node:path';
import { storedBytes } from '../../plan/stored-image.js';
import type { Dataset } from '../../proto/dataset.js';
import { RondoError } from '../../runtime/errors.js';
import { decoderVersion } from '../../runtime/images.js';
import type { Sample } from '../../runtime/storage/sample-columns.js';
import { createMemoryPixels } from './memory-pixels.js';
import {
  layOutRecords,
  openPixelFile,
  type PixelFile,
  type PixelRecord,
  type PixelRecords,
} from './pixel-file.js';
import { openPixelsIn } from './pixel-folder.js';
import type { Split } from './source.js';

/**
 * Stored images (plan/stored-image.ts) by split and id: nothing is decoded twice on a machine while there is
 * room.
 */
export interface PixelCache {
  /**
   * Has `use` read an image's pixels, [rows, presize, 3], which are its only during the call; false when it
   * is not held.
   */
  read(split: Split, id: number, use: (pixels: Uint8Array) => void): Promise<boolean>;
  /** Never rejects: what cannot be kept is decoded again. */
  keep(split: Split, id: number, pixels: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

export interface PixelCacheOptions {
  readonly dataset: Dataset;
  readonly presize: number;
  /** Bytes of shared memory to fill at most; 0 for none. */
  readonly memoryBytes: number;
  readonly cacheDir: string;
  /** Bound of all files of decoded pixels in `cacheDir` together; 0 for none. */
  readonly diskBytes: number;
  /** Told once when the disk cannot be used, or has room for a part only. */
  warn(message: string): void;
}

/**
 * Memory up to its budget in front of a file in `cacheDir`. Every image goes to the file too, not only what
 * memory has no room for: with a new order each epoch, a worker's next images are mostly ones that other
 * workers decoded. An image is known by its bytes: other names, labels or splits of the same files find the
 * same pixels, and other files never do.
 */
export async function openPixelCache(o: PixelCacheOptions): Promise<PixelCache> {
  if (o.memoryBytes === 0 && o.diskBytes === 0) return noCache;
  const { records, numbers } = listRecords(o.dataset, o.presize);
  let totalBytes = 0;
  for (let index = 0; index < records.length; index += 1) totalBytes += records.at(index)!.bytes;
  const memory = createMemoryPixels(totalBytes, o.memoryBytes);
  const scratch = createScratch();
  let file = await openFile(records, o);
  const giveUpDisk = (problem: string): void => {
    void file?.close().catch(() => {});
    file = undefined;
    o.warn(`decoded images are not kept in ${o.cacheDir}: ${problem}`);
  };
  return {
    async read(split, id, use) {
      const index = numbers[split][id]!;
      const held = memory.get(index);
      if (held !== undefined) {
        use(held);
        return true;
      }
      if (file === undefined) return false;
      const { bytes } = records.at(index)!;
      const buffer = scratch.take(bytes);
      try {
        const pixels = buffer.subarray(0, bytes);
        // A disk that fails to read is no reason to stop: the source still has the image.
        if (!(await file.get(index, pixels).catch(() => false))) return false;
        memory.put(index, pixels);
        use(pixels);
        return true;
      } finally {
        scratch.giveBack(buffer);
      }
    },
    async keep(split, id, pixels) {
      const index = numbers[split][id]!;
      memory.put(index, pixels);
      const writing = file;
      await writing?.put(index, pixels).catch((error: unknown) => {
        if (file === writing) giveUpDisk(RondoError.from(error).message);
      });
    },
    async close() {
      const closing = file;
      file = undefined;
      await closing?.close();
    },
  };
}

const noCache: PixelCache = {
  read: async () => false,
  async keep() {},
  async close() {},
};

async function openFile(
  records: PixelRecords,
  { cacheDir, diskBytes, presize, warn }: PixelCacheOptions,
): Promise<PixelFile | undefined> {
  if (diskBytes === 0) return undefined;
  try {
    const bytes = layOutRecords(records)[records.length]!;
    const key = keyOf(records, presize);
    const opened = await openPixelsIn(cacheDir, { key, presize, bytes, maxBytes: diskBytes });
    if (opened.limitBytes < bytes) {
      const share = Math.floor((100 * opened.limitBytes) / bytes);
      warn(
        `${path.dirname(opened.file)} has room for ${share} % of the decoded images; the others are decoded in every epoch`,
      );
    }
    return openPixelFile(opened.handle, records, opened.limitBytes);
  } catch (error) {
    const { message, remedy } = RondoError.from(error);
    warn(`decoded images are not kept in ${cacheDir}: ${message}${remedy ? `; ${remedy}` : ''}`);
    return undefined;
  }
}

/** What the file is made from: the decoder, and every image's bytes and shape. */
function keyOf(records: PixelRecords, presize: number): string {
  const hash = createHash('sha256').update(JSON.stringify([presize, decoderVersion]));
  for (let index = 0; index < records.length; index += 1) {
    const { digest, bytes } = records.at(index)!;
    hash.update(`\n${digest} ${bytes}`);
  }
  return hash.digest('hex').slice(0, 32);
}

/** One record for each different image, in order of digest, and each sample's. */
function listRecords(
  { train, valid }: Dataset,
  presize: number,
): { records: PixelRecords; numbers: Readonly<Record<Split, Uint32Array>> } {
  const count = train.length + valid.length;
  const sampleAt = (place: number): Sample =>
    (place < train.length ? train.at(place) : valid.at(place - train.length))!;
  // Numbers are sorted, not digests: most differ in the 13 digits that a number holds.
  const starts = new Float64Array(count);
  const places = Uint32Array.from(starts, (_, place) => place);
  for (const place of places) starts[place] = Number.parseInt(sampleAt(place).digest.slice(0, 13), 16);
  places.sort(
    (a, b) => starts[a]! - starts[b]! || compareDigests(sampleAt(a).digest, sampleAt(b).digest) || a - b,
  );
  const numbers = { train: new Uint32Array(train.length), valid: new Uint32Array(valid.length) };
  let length = 0;
  for (const place of places) {
    const isNew =
      length === 0 ||
      starts[place] !== starts[places[length - 1]!] ||
      sampleAt(place).digest !== sampleAt(places[length - 1]!).digest;
    if (isNew) {
      places[length] = place;
      length += 1;
    }
    if (place < train.length) numbers.train[place] = length - 1;
    else numbers.valid[place - train.length] = length - 1;
  }
  const firsts = places.slice(0, length);
  const at = (index: number): PixelRecord => {
    const { digest, width, height } = sampleAt(firsts[index]!);
    return { digest, bytes: storedBytes(width / height, presize) };
  };
  return { records: { length, at }, numbers };
}

function compareDigests(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Memory for images on their way from the disk, used again. */
function createScratch() {
  const free: Uint8Array[] = [];
  return {
    /** At least `bytes` long. */
    take(bytes: number): Uint8Array {
      const fitting = free.findIndex((buffer) => buffer.length >= bytes);
      if (fitting >= 0) return free.splice(fitting, 1)[0]!;
      // One that is too small goes, so that there are never more than images on their way.
      free.pop();
      return new Uint8Array(bytes);
    },
    giveBack: (buffer: Uint8Array): void => void free.push(buffer),
  };
}
