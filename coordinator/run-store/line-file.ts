import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import { RondoError } from '../../runtime/errors.js';

const blockBytes = 65_536;

/** A file of JSON lines that only grows. */
export interface LineFile {
  /** Throws a RondoError that names the file (a full disk: resource-exhausted); the lines before stay whole. */
  append(value: object): void;
  /** Returns when the disk has every line. */
  sync(): void;
  close(): void;
}

/** Opens for appending; half a line that a crash left at the end is cut off first. */
export function openLineFile(path: string): LineFile {
  const descriptor = openSync(path, 'a+');
  cutHalfLine(descriptor);
  let open = true;
  return {
    append(value) {
      const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
      try {
        let written = 0;
        while (written < bytes.length) written += writeSync(descriptor, bytes, written);
      } catch (error) {
        throw cannotWrite(path, error);
      }
    },
    sync: () => fsyncSync(descriptor),
    close() {
      if (open) closeSync(descriptor);
      open = false;
    },
  };
}

/** Every whole line, parsed. Throws data-loss that names the line when one is not JSON. */
export function readLines(path: string): unknown[] {
  const bytes = readFileSync(path);
  const lines = bytes.subarray(0, wholeBytes(bytes)).toString('utf8').split('\n');
  lines.pop();
  return lines.map((line, index) => {
    try {
      return JSON.parse(line) as unknown;
    } catch (error) {
      throw new RondoError('data-loss', `${path}, line ${index + 1}, is not JSON`, {
        remedy: 'the file was changed after it was written; restore it from a copy',
        cause: error,
      });
    }
  });
}

function cannotWrite(path: string, thrown: unknown): RondoError {
  const { code, message } = RondoError.from(thrown);
  const remedy = code === 'resource-exhausted' ? 'free some space there' : undefined;
  return new RondoError(code, `cannot write ${path}: ${message}`, {
    cause: thrown,
    ...(remedy === undefined ? {} : { remedy }),
  });
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
  return bytes.lastIndexOf(0x0a) + 1;
}
