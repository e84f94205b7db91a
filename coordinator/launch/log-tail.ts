import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const tailBytes = 4_096;
const tailLines = 15;

/** The last lines of what was written to a file from byte `start` on; empty when it cannot be read. */
export function readLogTail(path: string, start: number): string {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const { size } = fstatSync(file);
    const from = Math.max(start, size - tailBytes);
    const buffer = Buffer.alloc(Math.max(0, size - from));
    const length = readSync(file, buffer, 0, buffer.length, from);
    return buffer.toString('utf8', 0, length).trimEnd().split('\n').slice(-tailLines).join('\n');
  } catch {
    return '';
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
