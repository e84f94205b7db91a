import { mkdir, open, statfs } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';

/**
 * Presized images on disk, shared by all workers of a machine and by later runs: one file of records of one size,
 * record i for image i, holes where nothing was written yet. Each record carries a checksum of itself, so a torn,
 * foreign or half-written record counts as absent and no lock is needed: two workers write the same bytes.
 */
export interface PixelFile {
  /** Reads image `index` into `into`; false when there is no whole record. */
  get(index: number, into: Uint8Array): Promise<boolean>;
  put(index: number, pixels: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Record: magic and checksum (uint32 each, little-endian), 8 bytes unused, pixels, a gap that keeps the next record aligned. */
const headerBytes = 16;
const alignment = 16;
/** "RPIX": what a hole, which reads as zeros, does not begin with. */
const magic = 0x58495052;
/** What the file may take of the free disk when it is complete; other programs and the checkpoints need room too. */
const shareOfFreeDisk = 0.5;

/**
 * Opens or creates `file` for `count` images of `imageBytes`. `salt` goes into every record's checksum. Undefined when the
 * disk has no room for the whole of it.
 */
export async function openPixelFile(
  file: string,
  o: { count: number; imageBytes: number; salt: string },
): Promise<PixelFile | undefined> {
  const recordBytes = Math.ceil((headerBytes + o.imageBytes) / alignment) * alignment;
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
  const checksum = (index: number, pixels: Uint8Array): number => crc32(pixels, crc32(`${o.salt} ${index} `));
  return {
    async get(index, into) {
      const header = Buffer.alloc(headerBytes);
      const start = index * recordBytes;
      // Alone first: to read a hole, the system fills pages with zeros, which costs as much as to write them.
      await handle.read(header, 0, headerBytes, start);
      if (header.readUInt32LE(0) !== magic) return false;
      const { bytesRead } = await handle.read(into, 0, into.byteLength, start + headerBytes);
      return bytesRead === into.byteLength && header.readUInt32LE(4) === checksum(index, into);
    },
    async put(index, pixels) {
      const header = Buffer.alloc(headerBytes);
      header.writeUInt32LE(magic, 0);
      header.writeUInt32LE(checksum(index, pixels), 4);
      const { bytesWritten } = await handle.writev([header, pixels], index * recordBytes);
      const bytes = headerBytes + pixels.byteLength;
      if (bytesWritten < bytes) throw new Error(`wrote ${bytesWritten} of ${bytes} bytes`);
    },
    close: () => handle.close(),
  };
}
