import { readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openPixelFile } from '../../../worker/data/pixel-file.js';
import { makeFolder } from '../../support/images.js';

/** Not a multiple of the records' alignment. */
const imageBytes = 5 * 5 * 3;
const recordBytes = 96;
const headerBytes = 16;
const count = 4;

function image(seed: number): Uint8Array {
  return Uint8Array.from({ length: imageBytes }, (_, i) => (i * 31 + seed * 17) % 256);
}

async function newFile(): Promise<string> {
  return path.join(await makeFolder(), 'pixels.bin');
}

async function openRecords(file: string, salt = 'salt') {
  const records = (await openPixelFile(file, { count, imageBytes, salt }))!;
  onTestFinished(() => records.close());
  return records;
}

/** Changes the file in place, so that those who have it open see it. */
async function edit(file: string, change: (bytes: Buffer) => void): Promise<void> {
  const bytes = await readFile(file);
  change(bytes);
  await writeFile(file, bytes);
}

const into = () => new Uint8Array(imageBytes);

describe('openPixelFile', () => {
  it('reads whole records of every index, into shared memory too, and from a later opening', async () => {
    const file = await newFile();
    const written = await openRecords(file);
    const indices = [2, 0, 3, 1];
    for (const index of indices) await written.put(index, image(index));
    for (const records of [written, await openRecords(file)]) {
      for (const index of indices) {
        const pixels = new Uint8Array(new SharedArrayBuffer(imageBytes));
        expect(await records.get(index, pixels)).toBe(true);
        expect([...pixels]).toEqual([...image(index)]);
      }
    }
  });

  it('keeps pixels aligned to 16 bytes in the file', async () => {
    const file = await newFile();
    await (await openRecords(file)).put(1, image(1));
    const bytes = await readFile(file);
    expect(bytes).toHaveLength(recordBytes + headerBytes + imageBytes);
    expect([...bytes.subarray(recordBytes + headerBytes)]).toEqual([...image(1)]);
  });

  it('holds nothing at first, in holes, and beyond its end', async () => {
    const records = await openRecords(await newFile());
    expect(await records.get(0, into())).toBe(false);
    await records.put(2, image(2));
    for (const index of [0, 1, 3]) expect(await records.get(index, into())).toBe(false);
  });

  it('tells an image of zeros from a hole', async () => {
    const file = await newFile();
    const records = await openRecords(file);
    await records.put(0, new Uint8Array(imageBytes));
    expect(await records.get(0, image(0))).toBe(true);
    await edit(file, (bytes) => bytes.fill(0, 0, headerBytes));
    expect(await records.get(0, image(0))).toBe(false);
  });

  it.each<[string, (bytes: Buffer) => void]>([
    ['has another magic number', (bytes) => bytes.writeUInt8(bytes[0]! ^ 1, 0)],
    ['has another checksum', (bytes) => bytes.writeUInt8(bytes[4]! ^ 1, 4)],
    ['has another first pixel', (bytes) => bytes.writeUInt8(bytes[headerBytes]! ^ 1, headerBytes)],
    ['is half-written', (bytes) => bytes.fill(0, recordBytes / 2, recordBytes)],
    ['has its pixels only', (bytes) => bytes.fill(0, 0, headerBytes)],
    ['has its head only', (bytes) => bytes.fill(0, headerBytes, recordBytes)],
  ])('leaves out a record that %s, until it is written again', async (_name, damage) => {
    const file = await newFile();
    const records = await openRecords(file);
    await records.put(0, image(0));
    await records.put(1, image(1));
    await edit(file, damage);
    expect(await records.get(0, into())).toBe(false);
    expect(await records.get(1, into())).toBe(true);
    await records.put(0, image(0));
    expect(await records.get(0, into())).toBe(true);
  });

  it('leaves out a record that the file ends in', async () => {
    const file = await newFile();
    const records = await openRecords(file);
    await records.put(0, image(0));
    await truncate(file, headerBytes + imageBytes - 1);
    expect(await records.get(0, into())).toBe(false);
  });

  it('leaves out a record of another index', async () => {
    const file = await newFile();
    const records = await openRecords(file);
    await records.put(0, image(0));
    await records.put(1, image(1));
    await edit(file, (bytes) => bytes.copyWithin(0, recordBytes));
    expect(await records.get(0, into())).toBe(false);
    expect(await records.get(1, into())).toBe(true);
  });

  it('leaves out a record of another salt', async () => {
    const file = await newFile();
    await (await openRecords(file)).put(0, image(0));
    expect(await (await openRecords(file, 'other')).get(0, into())).toBe(false);
  });
});
