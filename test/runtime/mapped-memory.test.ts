import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mapFile, mappableBytes, unmap } from '../../runtime/mapped-memory.js';
import { allocateShared } from '../../runtime/shared-buffer.js';

const offset = 4096;
let folder: string;
let file: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rondo-mapped-'));
  const path = join(folder, 'file');
  writeFileSync(path, Buffer.alloc(offset + 2 * mappableBytes, 7));
  file = openSync(path, 'r+');
});

afterEach(() => {
  closeSync(file);
  rmSync(folder, { recursive: true });
});

function allocate(pages: number): Uint8Array {
  return new Uint8Array(allocateShared(pages * mappableBytes));
}

describe('mapped memory', () => {
  it('is the file, from the offset on, and leaves its neighbours alone', () => {
    const memory = allocate(3).fill(1);
    mapFile(memory.subarray(mappableBytes, 2 * mappableBytes), file, offset);
    expect([memory[mappableBytes - 1], memory[mappableBytes], memory[2 * mappableBytes]]).toEqual([1, 7, 1]);
    memory[mappableBytes + 5] = 42;
    const read = Buffer.alloc(1);
    readSync(file, read, 0, 1, offset + 5);
    expect(read[0]).toBe(42);
    writeSync(file, Buffer.of(43), 0, 1, offset + 6);
    expect(memory[mappableBytes + 6]).toBe(43);
  });

  it('is the same under several addresses, also when the descriptor is closed', () => {
    const [one, another] = [allocate(1), allocate(1)];
    const copy = openSync(join(folder, 'file'), 'r+');
    mapFile(one, copy, offset);
    mapFile(another, copy, offset);
    closeSync(copy);
    one[9] = 99;
    expect(another[9]).toBe(99);
  });

  it('is zeros of its own once it is unmapped', () => {
    const [memory, another] = [allocate(1), allocate(1)];
    mapFile(memory, file, offset);
    mapFile(another, file, offset);
    unmap(memory);
    expect(memory.every((byte) => byte === 0)).toBe(true);
    memory.fill(5);
    expect(another.every((byte) => byte === 7)).toBe(true);
  });

  it('is refused by name where the system refuses, and stays what it was', () => {
    const memory = allocate(1).fill(3);
    expect(() => mapFile(memory, 999_999, offset)).toThrow(/cannot map 65536 bytes of memory: EBADF/);
    expect(() => mapFile(memory, file, 1)).toThrow(/EINVAL/);
    expect(memory.every((byte) => byte === 3)).toBe(true);
  });

  it('takes whole pages only', () => {
    const memory = allocate(2);
    for (const part of [memory.subarray(1), memory.subarray(0, 10), memory.subarray(0, 0)]) {
      expect(() => mapFile(part, file, offset)).toThrow(/whole pages/);
    }
  });
});
