import { crc32 } from 'node:zlib';
import { type ByteReader, readBytes } from './byte-reader.js';
import { damaged, unsuitable } from './file-faults.js';

/** The files of an archive by name, each a view of the archive's bytes. */
export interface ZipArchive {
  readonly names: readonly string[];
  /** Throws data-loss when there is no such file or its checksum is another. */
  read(name: string): Uint8Array;
}

interface Entry {
  readonly method: number;
  readonly checksum: number;
  readonly packedBytes: number;
  readonly bytes: number;
  readonly headerStart: number;
}

const signatures = {
  local: 0x04034b50,
  central: 0x02014b50,
  end: 0x06054b50,
  end64: 0x06064b50,
  locator64: 0x07064b50,
};
const endBytes = 22;
const locatorBytes = 20;
const longestComment = 0xffff;

/**
 * A ZIP archive of files that are stored as they are (PKWARE, APPNOTE.TXT 6.3, sections 4.3 and 4.5.3), ZIP64
 * included. Throws data-loss, naming `file`, when it is cut short or damaged.
 */
export function openZip(bytes: Uint8Array, file: string): ZipArchive {
  const { count, start } = findDirectory(bytes, file);
  const reader = readBytes(bytes, start, file);
  const entries = new Map<string, Entry>();
  for (let index = 0; index < count; index++) {
    const [name, entry] = readEntry(reader, file);
    entries.set(name, entry);
  }
  return {
    names: [...entries.keys()],
    read(name) {
      const entry = entries.get(name);
      if (entry === undefined) throw damaged(file, `it has no ${name}`);
      return readStored(bytes, name, entry, file);
    },
  };
}

function findDirectory(bytes: Uint8Array, file: string): { count: number; start: number } {
  const end = findEnd(bytes);
  if (end < 0) throw damaged(file, 'it ends before the list of what it holds');
  const reader = readBytes(bytes, end + 10, file);
  const count = reader.uint16();
  reader.take(4);
  const start = reader.uint32();
  if (count !== 0xffff && start !== 0xffffffff) return { count, start };
  const locator = readBytes(bytes, end - locatorBytes, file);
  if (locator.uint32() !== signatures.locator64) return { count, start };
  locator.take(4);
  const end64 = readBytes(bytes, locator.size(), file);
  expectSignature(end64, signatures.end64, file);
  end64.take(28);
  const count64 = end64.size();
  end64.take(8);
  return { count: count64, start: end64.size() };
}

/** From the back: only its comment may follow it. */
function findEnd(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lowest = Math.max(0, bytes.length - endBytes - longestComment);
  for (let at = bytes.length - endBytes; at >= lowest; at--) {
    const length = endBytes + view.getUint16(at + endBytes - 2, true);
    if (view.getUint32(at, true) === signatures.end && at + length === bytes.length) return at;
  }
  return -1;
}

function readEntry(reader: ByteReader, file: string): [string, Entry] {
  expectSignature(reader, signatures.central, file);
  reader.take(6);
  const method = reader.uint16();
  reader.take(4);
  const checksum = reader.uint32();
  const packed = reader.uint32();
  const unpacked = reader.uint32();
  const [nameBytes, extraBytes, commentBytes] = [reader.uint16(), reader.uint16(), reader.uint16()];
  reader.take(8);
  const header = reader.uint32();
  const name = Buffer.from(reader.take(nameBytes)).toString('utf8');
  const long = readLongSizes(reader.take(extraBytes), file);
  reader.take(commentBytes);
  // Each is in the extra field only when it does not fit its 32 bits, in this order.
  const widen = (value: number) => (value === 0xffffffff && long !== null ? long.size() : value);
  const bytes = widen(unpacked);
  const packedBytes = widen(packed);
  return [name, { method, checksum, bytes, packedBytes, headerStart: widen(header) }];
}

/** The ZIP64 part of an entry's extra fields. */
function readLongSizes(extra: Uint8Array, file: string): ByteReader | null {
  const reader = readBytes(extra, 0, file);
  while (extra.length - reader.position >= 4) {
    const [id, length] = [reader.uint16(), reader.uint16()];
    const field = reader.take(length);
    if (id === 1) return readBytes(field, 0, file);
  }
  return null;
}

function readStored(bytes: Uint8Array, name: string, entry: Entry, file: string): Uint8Array {
  if (entry.method !== 0 || entry.packedBytes !== entry.bytes) {
    throw unsuitable(file, `its ${name} is compressed, which torch.save never does`);
  }
  const reader = readBytes(bytes, entry.headerStart, file);
  expectSignature(reader, signatures.local, file);
  reader.take(22);
  const [nameBytes, extraBytes] = [reader.uint16(), reader.uint16()];
  reader.take(nameBytes + extraBytes);
  const content = reader.take(entry.bytes);
  if (crc32(content) !== entry.checksum)
    throw damaged(file, `its ${name} has another checksum than when written`);
  return content;
}

function expectSignature(reader: ByteReader, signature: number, file: string): void {
  if (reader.uint32() !== signature) throw damaged(file, 'its parts do not lie where its list says');
}
