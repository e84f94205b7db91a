import { open, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { layOutRecords, openPixelFile, type PixelRecord } from '../../../worker/data/pixel-file.js';
import { makeFolder } from '../../support/images.js';

/** Lengths that are no multiples of the records' alignment, and one that is. */
const records: readonly PixelRecord[] = [75, 300, 64, 75].map((bytes, i) => ({
  digest: `digest ${i}`,
  bytes,
}));

function image(index: number, seed = index): Uint8Array {
  return Uint8Array.from({ length: records[index]!.bytes }, (_, i) => (i * 31 + seed * 17 + 1) % 256);
}

async function newFile(): Promise<string> {
  return path.join(await makeFolder(), 'some.pixels');
}

async function openRecords(file: string, o: { records?: readonly PixelRecord[]; limit?: number } = {}) {
  await writeFile(file, '', { flag: 'a' });
  const found = openPixelFile(await open(file, 'r+'), o.records ?? records, o.limit ?? Infinity);
  onTestFinished(() => found.close());
  return found;
}

async function read(
  file: Awaited<ReturnType<typeof openRecords>>,
  index: number,
): Promise<Uint8Array | null> {
  const into = new Uint8Array(records[index]!.bytes);
  return (await file.get(index, into)) ? into : null;
}

describe('openPixelFile', () => {
  it('places records one after the other, each aligned', () => {
    expect([...layOutRecords(records)]).toEqual([0, 96, 416, 496, 592]);
  });

  it('finds records that others wrote, of their own lengths, and holes empty', async () => {
    const file = await newFile();
    const [writer, reader] = [await openRecords(file), await openRecords(file)];
    for (const index of [2, 1]) await writer.put(index, image(index));
    for (const index of [1, 2]) expect(await read(reader, index)).toEqual(image(index));
    for (const index of [0, 3]) expect(await read(reader, index)).toBeNull();
  });

  it('takes no record for another original', async () => {
    const file = await newFile();
    await (await openRecords(file)).put(1, image(1));
    const others = records.map(({ bytes }) => ({ digest: 'other', bytes }));
    expect(await read(await openRecords(file, { records: others }), 1)).toBeNull();
  });

  it('takes no record whose bytes are not those that were written, wherever they differ', async () => {
    const file = await newFile();
    const found = await openRecords(file);
    await found.put(0, image(0));
    const whole = await readFile(file);
    for (let at = 0; at < 16 + 75; at += 1) {
      // Eight bytes of the head mean nothing.
      if (at >= 8 && at < 16) continue;
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 4;
      await writeFile(file, damaged);
      expect(await read(found, 0)).toBeNull();
    }
    await writeFile(file, whole);
    expect(await read(found, 0)).toEqual(image(0));
    await truncate(file, whole.length - 1);
    expect(await read(found, 0)).toBeNull();
  });

  it('leaves alone what lies beyond its limit', async () => {
    const file = await newFile();
    const found = await openRecords(file, { limit: 495 });
    expect([0, 1, 2, 3].map((index) => found.holds(index))).toEqual([true, true, false, false]);
    for (const index of [0, 1, 2, 3]) await found.put(index, image(index));
    expect((await readFile(file)).length).toBeLessThanOrEqual(495);
    expect(await read(found, 1)).toEqual(image(1));
    expect(await read(found, 2)).toBeNull();
  });
});
