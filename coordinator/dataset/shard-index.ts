import { createHash, type Hash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { z } from 'zod';
import { RondoError } from '../../runtime/errors.js';
import { parseJson } from '../../runtime/parse-json.js';

/** Name of the index in a folder of shards. */
export const indexName = 'index.rondo';

const magic = 'RONDOIDX';
/** Raised when the layout below changes. */
const formatVersion = 1;
const digestBytes = 32;
const remedy = 'restore it, or pack the images anew';
const maxHeaderBytes = 1 << 28;
const readBytes = 1 << 20;
/** Of all samples together they may be longer than a string can be. */
const pathsAtOnce = 1 << 16;

const headerSchema = z.object({
  /** What the shards were made from and how, by name. */
  plan: z.record(z.string(), z.union([z.string(), z.number(), z.null()])),
  /** Class names; a label is a position in them. */
  classes: z.array(z.string()),
  /** What gives the validation set, for people; null when each run draws its own. */
  validation: z.string().nullable(),
  /** In the order of the samples. */
  shards: z.array(
    z.object({
      name: z.string(),
      set: z.enum(['train', 'valid']).nullable(),
      samples: z.int().nonnegative(),
      bytes: z.int().nonnegative(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
});

export type IndexHeader = z.infer<typeof headerSchema>;
export type ShardRecord = Readonly<IndexHeader['shards'][number]>;

/** One entry per sample, in the order of the shards: 56 bytes each. */
export interface SampleColumns {
  /** Of the sample in the list that was packed: what a run's ids are positions in. */
  readonly position: Uint32Array;
  /** Where its image begins in its shard, in blocks of 512 bytes. */
  readonly block: Uint32Array;
  /** Of its image, in bytes. */
  readonly size: Uint32Array;
  readonly label: Uint32Array;
  /** In pixels, upright. */
  readonly width: Uint32Array;
  readonly height: Uint32Array;
  /** SHA-256 of its image's bytes, 32 bytes a sample. */
  readonly digest: Uint8Array;
}

export interface ShardIndex {
  readonly header: IndexHeader;
  readonly columns: SampleColumns;
  /** What the samples' files were called, as UTF-8, one after the other; null when they were not asked for. */
  readonly paths: { readonly lengths: Uint32Array; readonly bytes: Uint8Array } | null;
}

export function allocateColumns(samples: number): SampleColumns {
  const column = () => new Uint32Array(samples);
  return {
    ...{ position: column(), block: column(), size: column(), label: column() },
    ...{ width: column(), height: column(), digest: new Uint8Array(samples * digestBytes) },
  };
}

/** Columns `from` to `to` of an index, as views. */
export function sliceColumns(columns: SampleColumns, from: number, to: number): SampleColumns {
  const { position, block, size, label, width, height, digest } = columns;
  const cut = (column: Uint32Array) => column.subarray(from, to);
  return {
    ...{ position: cut(position), block: cut(block), size: cut(size), label: cut(label) },
    ...{ width: cut(width), height: cut(height) },
    digest: digest.subarray(from * digestBytes, to * digestBytes),
  };
}

/** Puts `from` into `into`, beginning with its column `at`. */
export function copyColumns(from: SampleColumns, into: SampleColumns, at: number): void {
  for (const name of ['position', 'block', 'size', 'label', 'width', 'height'] as const) {
    into[name].set(from[name], at);
  }
  into.digest.set(from.digest, at * digestBytes);
}

/**
 * The file's parts: a magic word, version and length of the header (two uint32), the header as JSON, padded
 * to 8 bytes; then each column; lengths of the paths, and the paths; SHA-256 of all that. Numbers have their
 * low byte first. Paths stand apart: what reads samples does not need them.
 */
export function* encodeIndex(header: IndexHeader, columns: SampleColumns, paths: readonly string[]) {
  const hash = createHash('sha256');
  const parts = function* (): Generator<Uint8Array> {
    const json = Buffer.from(JSON.stringify(header));
    const padded = Buffer.alloc(json.length + (-json.length & 7), ' ');
    json.copy(padded);
    const lead = Buffer.alloc(16);
    lead.write(magic);
    lead.writeUInt32LE(formatVersion, 8);
    lead.writeUInt32LE(padded.length, 12);
    yield lead;
    yield padded;
    for (const column of columnsOf(columns)) yield bytesOf(column);
    yield bytesOf(Uint32Array.from(paths, (path) => Buffer.byteLength(path)));
    for (let at = 0; at < paths.length; at += pathsAtOnce) {
      yield Buffer.from(paths.slice(at, at + pathsAtOnce).join(''));
    }
  };
  for (const part of parts()) {
    hash.update(part);
    yield part;
  }
  yield hash.digest();
}

/** A file that is read from its start on. */
interface IndexFile {
  readonly bytes: number;
  /** Fills a part of `into`, and tells how much; 0 at the end. */
  read(into: Uint8Array, at: number, length: number): Promise<number>;
}

/**
 * Reads an index, `withPaths` or only what reading samples needs. Throws data-loss for a file that is not
 * whole, invalid-argument for another kind or version of file, and what the file system throws.
 */
export async function readIndex(path: string, { withPaths = false } = {}): Promise<ShardIndex> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const read = async (into: Uint8Array, at: number, length: number) =>
      (await file.read(into, at, length)).bytesRead;
    return await decode({ bytes: size, read }, path, withPaths);
  } finally {
    await file.close();
  }
}

/** `readIndex` with paths, of a whole index in memory; `name` is for messages. */
export function decodeIndex(bytes: Uint8Array, name: string): Promise<ShardIndex> {
  let from = 0;
  const read = async (into: Uint8Array, at: number, length: number) => {
    const part = bytes.subarray(from, from + length);
    into.set(part, at);
    from += part.length;
    return part.length;
  };
  return decode({ bytes: bytes.length, read }, name, true);
}

async function decode(file: IndexFile, name: string, withPaths: boolean): Promise<ShardIndex> {
  try {
    return await readOpened(file, name, withPaths);
  } catch (error) {
    if (error instanceof RondoError || (error as NodeJS.ErrnoException).code !== undefined) throw error;
    throw damaged(name, error);
  }
}

async function readOpened(file: IndexFile, path: string, withPaths: boolean): Promise<ShardIndex> {
  const hash = createHash('sha256');
  const read = (into: Uint8Array) => readExactly(file, path, into, hash);
  const lead = Buffer.from(await read(new Uint8Array(16)));
  if (lead.toString('latin1', 0, 8) !== magic) {
    throw new RondoError('invalid-argument', `${path} is no index of packed images`, {
      remedy: 'name the folder that `coordinator pack` wrote',
    });
  }
  const version = lead.readUInt32LE(8);
  if (version !== formatVersion) {
    throw new RondoError('invalid-argument', `${path} has version ${version}, and ${formatVersion} is read`, {
      remedy: 'pack the images anew, or use the version of Rondo that packed them',
    });
  }
  const size = file.bytes;
  const headerBytes = lead.readUInt32LE(12);
  if (headerBytes > Math.min(size, maxHeaderBytes)) throw damaged(path);
  const text = Buffer.from(await read(new Uint8Array(headerBytes))).toString();
  const header = parseJson(headerSchema, text, { name: path, remedy });
  const samples = header.shards.reduce((sum, shard) => sum + shard.samples, 0);
  // Before memory is taken for what a damaged header claims.
  if (samples * (6 * 4 + digestBytes + 4) > size) throw damaged(path);
  const columns = allocateColumns(samples);
  for (const column of columnsOf(columns)) await read(bytesOf(column));
  const lengths = new Uint32Array(samples);
  await read(bytesOf(lengths));
  const pathBytes = lengths.reduce((sum, length) => sum + length, 0);
  if (pathBytes > size) throw damaged(path);
  const bytes = new Uint8Array(withPaths ? pathBytes : Math.min(pathBytes, readBytes));
  if (withPaths) await read(bytes);
  else for (let left = pathBytes; left > 0; left -= readBytes) await read(bytes.subarray(0, left));
  const digest = hash.digest();
  const stored = await readExactly(file, path, new Uint8Array(digestBytes));
  if (!digest.equals(stored)) throw damaged(path);
  return { header, columns, paths: withPaths ? { lengths, bytes } : null };
}

/** The path of the sample at a place in the index. */
export function openPaths({ lengths, bytes }: NonNullable<ShardIndex['paths']>): (at: number) => string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const starts = new Float64Array(lengths.length + 1);
  for (const [at, length] of lengths.entries()) starts[at + 1] = starts[at]! + length;
  return (at) => text.toString('utf8', starts[at]!, starts[at + 1]!);
}

async function readExactly<T extends Uint8Array>(
  file: IndexFile,
  path: string,
  into: T,
  hash?: Hash,
): Promise<T> {
  for (let at = 0; at < into.length; ) {
    const read = await file.read(into, at, Math.min(into.length - at, 1 << 30));
    if (read === 0) throw damaged(path);
    at += read;
  }
  hash?.update(into);
  return into;
}

function columnsOf(columns: SampleColumns): readonly (Uint32Array | Uint8Array)[] {
  const { position, block, size, label, width, height, digest } = columns;
  return [position, block, size, label, width, height, digest];
}

/** As they lie in memory: all processors that Rondo runs on have the low byte first. */
function bytesOf({ buffer, byteOffset, byteLength }: Uint32Array | Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function damaged(path: string, cause?: unknown): RondoError {
  return new RondoError('data-loss', `${path} is damaged or not whole`, {
    remedy,
    cause,
  });
}
