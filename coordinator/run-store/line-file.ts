import {
  closeSync,
  createReadStream,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import { stat } from 'node:fs/promises';
import type { z } from 'zod';
import { cannotWrite } from '../../runtime/durable-file.js';
import type { RondoError } from '../../runtime/errors.js';
import { parseJson } from '../../runtime/parse-json.js';

const blockBytes = 65_536;
const streamBytes = 1 << 20;
const lineFeed = 0x0a;

/** A file of JSON lines that only grows. */
export interface LineFile {
  /**
   * Throws a RondoError that names the file (a full disk: resource-exhausted); the lines before stay whole.
   * After `close` nothing is written: what still arrives is of a run that has ended, and the descriptor may
   * be another file's.
   */
  append(value: object): void;
  /** Returns when the disk has every line. */
  sync(): void;
  close(): void;
}

/** Opens for appending; half a line that a crash left at the end is cut off first. */
export function openLineFile(path: string): LineFile {
  const descriptor = naming(path, () => openSync(path, 'a+'));
  cutHalfLine(descriptor);
  let open = true;
  /** After half a line nothing may follow. */
  let failure: RondoError | null = null;
  return {
    append(value) {
      if (!open) return;
      if (failure !== null) throw failure;
      const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
      try {
        let written = 0;
        while (written < bytes.length) written += writeSync(descriptor, bytes, written);
      } catch (error) {
        failure = cannotWrite(path, error);
        throw failure;
      }
    },
    sync() {
      if (open) naming(path, () => fsyncSync(descriptor));
    },
    close() {
      if (open) closeSync(descriptor);
      open = false;
    },
  };
}

/** How far a file is read, in bytes. */
export interface ReadProgress {
  readonly done: number;
  readonly total: number;
}

/**
 * Every whole line, parsed, of a file of any length: it is read as a stream. Throws data-loss that names the
 * line, and its field, where one does not fit.
 */
export async function* readLines<T>(
  path: string,
  schema: z.ZodType<T>,
  onProgress: (progress: ReadProgress) => void = () => {},
): AsyncGenerator<T> {
  const { size: total } = await stat(path);
  let done = 0;
  let count = 0;
  /** What has been read of a line whose end has not. */
  let begun: Buffer[] = [];
  for await (const chunk of createReadStream(path, { highWaterMark: streamBytes }) as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, start)) {
      begun.push(chunk.subarray(start, end));
      count += 1;
      yield parseJson(schema, Buffer.concat(begun).toString(), { name: path, line: count });
      begun = [];
      start = end + 1;
    }
    if (start < chunk.length) begun.push(chunk.subarray(start));
    done += chunk.length;
    onProgress({ done, total: Math.max(done, total) });
  }
}

/** The last whole line of a file, without its end; null where there is none, or it is longer than 64 KiB. */
export function readLastLine(path: string): string | null {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch {
    return null;
  }
  try {
    const { size } = fstatSync(descriptor);
    const block = Buffer.alloc(blockBytes);
    const length = readSync(descriptor, block, 0, blockBytes, Math.max(0, size - blockBytes));
    const lines = block.subarray(0, length).toString().split('\n');
    return lines.length < 2 || (lines.length === 2 && size > blockBytes) ? null : lines.at(-2)!;
  } finally {
    closeSync(descriptor);
  }
}

function naming<T>(path: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

function cutHalfLine(descriptor: number): void {
  const { size } = fstatSync(descriptor);
  const block = Buffer.alloc(blockBytes);
  let end = size;
  while (end > 0) {
    const start = Math.max(0, end - blockBytes);
    const length = readSync(descriptor, block, 0, end - start, start);
    const whole = wholeBytes(block.subarray(0, length));
    end = start + whole;
    if (whole > 0) break;
  }
  if (end < size) ftruncateSync(descriptor, end);
}

function wholeBytes(bytes: Buffer): number {
  return bytes.lastIndexOf(lineFeed) + 1;
}
