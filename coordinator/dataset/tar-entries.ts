import { RondoError } from '../../runtime/errors.js';
import { blockBytes } from '../../runtime/storage/sample-reader.js';

/** A regular file in an archive. */
export interface TarEntry {
  readonly name: string;
  /** Where its bytes begin in the archive: a multiple of 512. */
  readonly start: number;
  readonly bytes: Buffer;
}

/** Reads an archive as it arrives, from its first byte on. */
export interface TarEntries {
  /** The files that `bytes` bring to their end. Throws RondoError, naming the archive, for what is no tar. */
  write(bytes: Buffer): TarEntry[];
  /** Throws data-loss where the archive is not whole. */
  end(): void;
}

/** What is often found under a tar's name, by its first bytes. */
const compressions: readonly (readonly [name: string, magic: string])[] = [
  ['gzip', '1f8b'],
  ['zstd', '28b52ffd'],
  ['bzip2', '425a68'],
  ['xz', 'fd377a58'],
];
/** Headers that say something of the next entry, or of all: longer ones are no names. */
const mostHeaderBytes = 1 << 20;

/**
 * POSIX tar (ustar) with PAX headers and GNU's long names and large sizes, as tar, Python's tarfile and
 * WebDataset's writer make it. What is no regular file is passed over.
 */
export function openTarEntries(archive: string): TarEntries {
  let pending: Buffer[] = [];
  let [have, at, ended] = [0, 0, false];
  let entry: { type: string; name: string; size: number; start: number } | null = null;
  let next: { path?: string | undefined; size?: number | undefined } = {};

  const take = (length: number): Buffer => {
    const joined = pending.length === 1 ? pending[0]! : Buffer.concat(pending);
    pending = [joined.subarray(length)];
    have -= length;
    at += length;
    return joined.subarray(0, length);
  };
  const begin = (block: Buffer): void => {
    const { type, name, size } = readHeader(block, archive, at - blockBytes);
    const isExtra = ['x', 'g', 'L', 'K'].includes(type);
    if (isExtra && size > mostHeaderBytes) throw damaged(archive, at - blockBytes);
    const own = isExtra ? {} : next;
    entry = { type, name: own.path ?? name, size: own.size ?? size, start: at };
    if (!isExtra) next = {};
  };
  const finish = (body: Buffer): TarEntry | null => {
    const { type, name, size, start } = entry!;
    entry = null;
    const bytes = body.subarray(0, size);
    if (type === 'L') next.path = textOf(bytes);
    else if (type === 'x') next = { ...next, ...readPax(bytes) };
    else if (type === 'S') {
      throw new RondoError(
        'invalid-argument',
        `${archive} holds ${name} as a sparse file, which is not read`,
        {
          remedy: 'make the archive anew without --sparse',
        },
      );
    }
    return type === '0' || type === '7' ? { name, start, bytes: Buffer.from(bytes) } : null;
  };
  return {
    write(bytes) {
      const found: TarEntry[] = [];
      if (ended) return found;
      pending.push(bytes);
      have += bytes.length;
      for (;;) {
        if (entry === null) {
          if (have < blockBytes) return found;
          const block = take(blockBytes);
          if (at === blockBytes) refuseCompressed(block, archive);
          if (block.every((byte) => byte === 0)) {
            ended = true;
            pending = [];
            return found;
          }
          begin(block);
          continue;
        }
        const padded = Math.ceil(entry.size / blockBytes) * blockBytes;
        if (have < padded) return found;
        const file = finish(take(padded));
        if (file !== null) found.push(file);
      }
    },
    end() {
      // GNU tar and others may leave out the last two empty blocks; nothing may be cut off.
      if (at === 0 && have > 0) refuseCompressed(Buffer.concat(pending), archive);
      if (!ended && (entry !== null || have > 0 || at === 0)) throw damaged(archive, at);
    },
  };
}

function readHeader(block: Buffer, archive: string, at: number) {
  // The checksum is of the header with blanks in its place.
  const sum = block.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
  if (readNumber(block, 148, 156) !== sum) throw damaged(archive, at);
  const type = block[156] === 0 ? '0' : String.fromCharCode(block[156]!);
  const isPosix = block.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = isPosix ? textOf(block.subarray(345, 500)) : '';
  const name = textOf(block.subarray(0, 100));
  return { type, name: prefix === '' ? name : `${prefix}/${name}`, size: readNumber(block, 124, 136) };
}

/** Octal digits or, for what they cannot hold, GNU's base 256. */
function readNumber(block: Buffer, from: number, to: number): number {
  if (block[from]! & 0x80) {
    return block.subarray(from + 1, to).reduce((value, byte) => value * 256 + byte, block[from]! & 0x7f);
  }
  return Number.parseInt(
    block
      .toString('latin1', from, to)
      .replace(/[\0 ]+/g, ' ')
      .trim() || '0',
    8,
  );
}

/** Records "LENGTH KEY=VALUE\n"; the length counts bytes and itself. */
function readPax(bytes: Buffer): { path?: string; size?: number } {
  const found: { path?: string; size?: number } = {};
  for (let at = 0; at < bytes.length; ) {
    const blank = bytes.indexOf(' ', at);
    const length = Number(bytes.toString('latin1', at, blank));
    if (blank < 0 || !(length > 0)) break;
    const record = bytes.toString('utf8', blank + 1, at + length - 1);
    const equals = record.indexOf('=');
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1)];
    if (key === 'path') found.path = value;
    if (key === 'size') found.size = Number(value);
    at += length;
  }
  return found;
}

function textOf(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}

function refuseCompressed(start: Buffer, archive: string): void {
  const found = compressions.find(([, magic]) => start.toString('hex').startsWith(magic));
  if (found === undefined) return;
  throw new RondoError(
    'invalid-argument',
    `${archive} is compressed (${found[0]}): its images cannot be read one by one`,
    { remedy: 'decompress it: images are compressed already, and it will hardly be larger' },
  );
}

function damaged(archive: string, at: number): RondoError {
  return new RondoError('data-loss', `${archive} is no tar file from byte ${at} on, or not whole`, {
    remedy: 'copy it anew, or make it anew',
  });
}
