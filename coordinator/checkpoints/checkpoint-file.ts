import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, type ReadStream } from 'node:fs';
import { mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { z } from 'zod';
import type { RunConfig } from '../../plan/run-config.js';
import type { StateChunk, StateHeader } from '../../proto/gen/coordinator.js';
import { checkpointRecordSchema, runFormatVersion } from '../../proto/run-files.js';
import {
  type DurableFiles,
  realFiles,
  replaceFolder,
  syncDirectory,
  temporaryName,
  writeSynced,
} from '../../runtime/durable-file.js';
import { RondoError } from '../../runtime/errors.js';
import { parseJson } from '../../runtime/parse-json.js';
import {
  encodeSafetensorsHeader,
  safetensorsJsonBytes,
  safetensorsLengthBytes,
} from '../../runtime/safetensors.js';

const chunkBytes = 1 << 20;
const stateFile = 'state.safetensors';
const recordFile = 'checkpoint.json';

/** Of checkpoint.json. */
export type CheckpointRecord = z.infer<typeof checkpointRecordSchema>;

export interface Checkpoint {
  /** Its folder. */
  readonly path: string;
  readonly record: CheckpointRecord;
}

/** Ties checkpoints to the configuration that they were trained with. */
export function digestRunConfig(config: RunConfig): string {
  return createHash('sha256').update(JSON.stringify(config)).digest('hex');
}

export interface CheckpointSource {
  readonly epoch: number;
  readonly whole: boolean;
  readonly header: StateHeader;
  /** `header.length` values, tensor after tensor. */
  readonly values: Float32Array;
  readonly runConfigDigest: string;
}

/**
 * Writes a checkpoint's folder: under a temporary name, synced, then renamed, so that it is there whole or
 * not at all. A folder of that name is replaced. Throws what the file system throws, as a RondoError, and
 * leaves nothing behind.
 */
export async function writeCheckpoint(
  path: string,
  source: CheckpointSource,
  files: DurableFiles = realFiles,
): Promise<Checkpoint> {
  const temporary = temporaryName(path);
  try {
    await mkdir(temporary);
    const hash = createHash('sha256');
    let fileBytes = 0;
    const hashed = function* (): Iterable<Uint8Array> {
      for (const part of stateFileParts(source)) {
        hash.update(part);
        fileBytes += part.length;
        yield part;
      }
    };
    await writeSynced(join(temporary, stateFile), hashed(), files);
    const record = describe(source, hash.digest('hex'), fileBytes);
    await writeSynced(
      join(temporary, recordFile),
      [`${JSON.stringify({ formatVersion: runFormatVersion, ...record }, null, 1)}\n`],
      files,
    );
    await syncDirectory(temporary, files);
    await replaceFolder(temporary, path, files);
    return { path, record };
  } catch (error) {
    throw writeError(path, error);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Reads checkpoint.json alone. Throws data-loss that names the file and the field. */
export async function readCheckpointRecord(path: string): Promise<Checkpoint> {
  const file = join(path, recordFile);
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw corrupt(file, 'it cannot be read', error);
  });
  return { path, record: parseCheckpointRecord(text, file) };
}

/** Throws as `readCheckpointRecord`. */
export function parseCheckpointRecord(text: string, name: string): CheckpointRecord {
  return parseJson(checkpointRecordSchema, text, { name, formatVersion: runFormatVersion });
}

/**
 * Compares the state's bytes with the digest taken when they were written, and refuses a network that is not
 * finite. Throws data-loss that names the file.
 */
export async function verifyCheckpoint({ path, record }: Checkpoint): Promise<void> {
  const file = join(path, stateFile);
  const found = await stat(file).catch((error: unknown) => {
    throw corrupt(file, 'it is missing', error);
  });
  if (found.size !== record.fileBytes)
    throw corrupt(file, `it has ${found.size} of ${record.fileBytes} bytes`);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: chunkBytes }))
    hash.update(chunk as Buffer);
  if (hash.digest('hex') !== record.fileDigest)
    throw corrupt(file, 'its digest is not the one it was written with');
  const broken = await findNotFinite(file, record);
  if (broken === null) return;
  throw new RondoError('data-loss', `${file} is of no use: ${broken} has values that are not finite`, {
    remedy: 'training had diverged: take an earlier checkpoint, or train again with a lower --lr',
  });
}

/** The first tensor of the network, moments left out, that holds NaN or infinity; null when none does. */
async function findNotFinite(file: string, { tensors }: CheckpointRecord): Promise<string | null> {
  const start = await readDataStart(file);
  const checked = tensors.filter(({ name }) => !name.startsWith('optimizer.'));
  // Bytes 2 and 3 of a little-endian float32 hold the exponent; all ones are NaN or infinity.
  let [at, before] = [0, 0];
  for await (const chunk of createReadStream(file, { start, highWaterMark: chunkBytes })) {
    const bytes = chunk as Buffer;
    for (let last = 3 - (at % 4); last < bytes.length; last += 4) {
      if ((bytes[last]! & 0x7f) < 0x7f) continue;
      if (((last > 0 ? bytes[last - 1]! : before) & 0x80) === 0) continue;
      const place = Math.floor((at + last) / 4);
      const found = checked.find(({ offset, shape }) => place >= offset && place < offset + volumeOf(shape));
      if (found !== undefined) return found.name;
    }
    at += bytes.length;
    before = bytes.at(-1)!;
  }
  return null;
}

function volumeOf(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}

/** The state as it travels to workers: a header, then its bytes. */
export async function* streamCheckpoint({ path, record }: Checkpoint): AsyncIterable<StateChunk> {
  const file = join(path, stateFile);
  const { step, stateDigest, parameterDigest } = record;
  const tensors = record.tensors.map((tensor) => ({ ...tensor, offset: BigInt(tensor.offset) }));
  const start = await readDataStart(file);
  const length = BigInt((record.fileBytes - start) / Float32Array.BYTES_PER_ELEMENT);
  const header: StateHeader = { step: BigInt(step), length, stateDigest, parameterDigest, tensors };
  yield { part: { $case: 'header', value: header } };
  const stream: ReadStream = createReadStream(file, { start, highWaterMark: chunkBytes });
  for await (const chunk of stream) yield { part: { $case: 'data', value: chunk as Buffer } };
}

/** Where in a file of tensors the values begin, in bytes. */
export async function readDataStart(file: string): Promise<number> {
  const handle = await open(file, 'r');
  try {
    const { buffer } = await handle.read(Buffer.alloc(safetensorsLengthBytes), 0, safetensorsLengthBytes, 0);
    return safetensorsLengthBytes + safetensorsJsonBytes(buffer, file);
  } finally {
    await handle.close();
  }
}

function* stateFileParts({ header, values }: CheckpointSource): Iterable<Uint8Array> {
  const inOrder = [...header.tensors].sort((a, b) => Number(a.offset - b.offset));
  let end = 0;
  for (const { name, shape, offset } of inOrder) {
    assert.equal(Number(offset), end, `tensor ${name} does not begin where the one before it ends`);
    end += volumeOf(shape);
  }
  assert.equal(end, values.length, 'the tensors do not fill the state');
  const metadata = { format: 'pt', step: String(header.step) };
  yield encodeSafetensorsHeader(
    inOrder.map(({ name, shape }) => ({ name, shape, dtype: 'F32' })),
    metadata,
  );
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

function describe(
  { epoch, whole, header, runConfigDigest }: CheckpointSource,
  fileDigest: string,
  fileBytes: number,
): CheckpointRecord {
  const { stateDigest, parameterDigest } = header;
  const tensors = header.tensors.map(({ name, shape, offset }) => ({ name, shape, offset: Number(offset) }));
  const step = Number(header.step);
  return {
    step,
    epoch,
    whole,
    stateDigest,
    parameterDigest,
    fileDigest,
    fileBytes,
    runConfigDigest,
    tensors,
  };
}

function writeError(path: string, thrown: unknown): RondoError {
  const error = RondoError.from(thrown);
  const full = error.code === 'resource-exhausted';
  return new RondoError(
    error.code,
    full
      ? `the disk is full: checkpoint ${basename(path)} could not be written to ${dirname(path)}`
      : `checkpoint ${path} could not be written: ${error.message}`,
    {
      cause: thrown,
      remedy: full ? 'free some space there; earlier checkpoints are untouched' : error.remedy,
    },
  );
}

function corrupt(file: string, why: string, cause?: unknown): RondoError {
  return new RondoError('data-loss', `${file} is damaged: ${why}`, { cause });
}
