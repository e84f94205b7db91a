import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

/** One image of the file. */
export interface PixelRecord {
  /** SHA-256 of the original's bytes; goes into the record's checksum. */
  readonly digest: string;
  /** Length of the image's pixels. */
  readonly bytes: number;
}

/** In their order. An array of records is one; of millions of images each is made when it is asked for. */
export interface PixelRecords {
  readonly length: number;
  at(index: number): PixelRecord | undefined;
}

/**
 * Decoded images on disk, shared by all workers of a machine and by later runs: one file of records, with
 * holes where nothing was written yet. Each record carries a checksum of itself and of the original's digest,
 * so a torn, foreign or half-written one counts as absent and no lock is needed: two workers write the same
 * bytes.
 */
export interface PixelFile {
  /** Whether there is room for record `index`. */
  holds(index: number): boolean;
  /** Reads record `index` into `into`, which has its length; false when there is no whole record. */
  get(index: number, into: Uint8Array): Promise<boolean>;
  /** Writes record `index`; nothing for one that there is no room for. */
  put(index: number, pixels: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/**
 * Record: magic and checksum (uint32 each, little-endian), 8 bytes unused, pixels, a gap that keeps the next
 * record aligned.
 */
const headerBytes = 16;
const alignment = 16;
/** "RPIX": what a hole, which reads as zeros, does not begin with. */
const magic = 0x58495052;

/** Where each record begins, and where the last one ends. */
export function layOutRecords(records: PixelRecords): Float64Array {
  const starts = new Float64Array(records.length + 1);
  for (let index = 0; index < records.length; index += 1) {
    const { bytes } = records.at(index)!;
    starts[index + 1] = starts[index]! + Math.ceil((headerBytes + bytes) / alignment) * alignment;
  }
  return starts;
}

/** The records in an open file, of which the first `limitBytes` may be used. Owns the handle. */
export function openPixelFile(handle: FileHandle, records: PixelRecords, limitBytes: number): PixelFile {
  const starts = layOutRecords(records);
  const holds = (index: number): boolean => starts[index + 1]! <= limitBytes;
  const checksum = (index: number, pixels: Uint8Array): number =>
    crc32(pixels, crc32(`${records.at(index)!.digest} `));
  return {
    holds,
    async get(index, into) {
      if (!holds(index)) return false;
      const header = Buffer.alloc(headerBytes);
      const start = starts[index]!;
      // Alone first: to read a hole, the system fills pages with zeros, which costs as much as to write them.
      await handle.read(header, 0, headerBytes, start);
      if (header.readUInt32LE(0) !== magic) return false;
      const { bytesRead } = await handle.read(into, 0, into.byteLength, start + headerBytes);
      return bytesRead === into.byteLength && header.readUInt32LE(4) === checksum(index, into);
    },
    async put(index, pixels) {
      if (!holds(index)) return;
      const header = Buffer.alloc(headerBytes);
      header.writeUInt32LE(magic, 0);
      header.writeUInt32LE(checksum(index, pixels), 4);
      const { bytesWritten } = await handle.writev([header, pixels], starts[index]!);
      const bytes = headerBytes + pixels.byteLength;
      if (bytesWritten < bytes) throw new Error(`wrote ${bytesWritten} of ${bytes} bytes`);
    },
    close: () => handle.close(),
  };
}
