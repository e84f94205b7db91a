import { createHash } from 'node:crypto';
import { mkdir, open, statfs } from 'node:fs/promises';
import path from 'node:path';

/**
 * Presized images on disk, shared by all workers of a machine and by later runs: one file of records of one size,
 * record i for image i, holes where nothing was written yet. Each record carries a digest of itself, so a torn,
 * foreign or half-written record counts as absent and no lock is needed: two workers write the same bytes.
 */
export interface PixelFile {
  /** Reads image `index` into `into`; false when there is no whole record. */
  get(index: number, into: Uint8Array): Promise<boolean>;
  put(index: number, pixels: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Record: digest (16 bytes), pixels. */
const headerBytes = 16;
/** What the file may take of the free disk when it is complete; other programs and the checkpoints need room too. */
const shareOfFreeDisk = 0.5;

/**
 * Opens or creates `file` for `count` images of `imageBytes`. `salt` goes into every record's digest. Undefined when the
 * disk has no room for the whole of it.
 */
export async function openPixelFile(
  file: string,
  o: { count: number; imageBytes: number; salt: string },
): Promise<PixelFile | undefined> {
  const recordBytes = headerBytes + o.imageBytes;
  await mkdir(path.dirname(file), { recursive: true });
  // Not 'a+': appending would ignore positions. 'r+' does not create, and 'w+' would empty another worker's file.
  const handle = await open(file, 'r+').catch(async () => {
    await (await open(file, 'a')).close();
    return open(file, 'r+');
  });
  const { bavail, bsize } = await statfs(path.dirname(file));
  const writtenBytes = (await handle.stat()).blocks * 512;
  if (o.count * recordBytes - writtenBytes > bavail * bsize * shareOfFreeDisk) {
    await handle.close();
    return undefined;
  }
  const digest = (index: number, pixels: Uint8Array): Buffer =>
    createHash('sha256').update(`${o.salt} ${index} `).update(pixels).digest().subarray(0, 16);
  return {
    async get(index, into) {
      const expected = Buffer.alloc(headerBytes);
      const start = index * recordBytes;
      // Alone first: to read a hole, the system fills pages with zeros, which costs as much as to write them.
      await handle.read(expected, 0, headerBytes, start);
      if (isBlank(expected)) return false;
      const { bytesRead } = await handle.read(into, 0, into.byteLength, start + headerBytes);
      return bytesRead === into.byteLength && expected.equals(digest(index, into));
    },
    async put(index, pixels) {
      const { bytesWritten } = await handle.writev([digest(index, pixels), pixels], index * recordBytes);
      if (bytesWritten < recordBytes) throw new Error(`wrote ${bytesWritten} of ${recordBytes} bytes`);
    },
    close: () => handle.close(),
  };
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
