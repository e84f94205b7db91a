import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  allocateColumns,
  copyColumns,
  encodeIndex,
  type IndexHeader,
  openPaths,
  readIndex,
  sliceColumns,
} from '../../../coordinator/dataset/shard-index.js';
import { makeFolder } from '../../support/images.js';

function headerOf(...samples: number[]): IndexHeader {
  return {
    plan: { source: 'x', images: 3, resize: null },
    classes: ['katze', 'ünï 漢'],
    validation: null,
    shards: samples.map((count, index) => ({
      ...{ name: `images-${index}.tar`, set: null, samples: count, bytes: 1024, sha256: 'ab'.repeat(32) },
    })),
  };
}

function fillColumns(samples: number) {
  const columns = allocateColumns(samples);
  for (const [index, column] of Object.values(columns).entries()) {
    for (let at = 0; at < column.length; at += 1) column[at] = at * 7 + index;
  }
  return columns;
}

async function writeIndex(header: IndexHeader, samples: number, paths: readonly string[]): Promise<string> {
  const file = path.join(await makeFolder(), 'index.rondo');
  await writeFile(file, [...encodeIndex(header, fillColumns(samples), paths)]);
  return file;
}

describe('an index of shards', () => {
  it('says when read what was written, paths when they are asked for', async () => {
    const file = await writeIndex(headerOf(2, 1), 3, ['a/1.jpg', '', 'ünï/漢.png']);
    const index = await readIndex(file, { withPaths: true });
    expect(index.header).toEqual(headerOf(2, 1));
    expect(index.columns).toEqual(fillColumns(3));
    expect([0, 1, 2].map(openPaths(index.paths!))).toEqual(['a/1.jpg', '', 'ünï/漢.png']);
    expect((await readIndex(file)).paths).toBeNull();
  });

  it('is put together from those of its shards', async () => {
    const whole = fillColumns(5);
    const joined = allocateColumns(5);
    copyColumns(sliceColumns(whole, 3, 5), joined, 3);
    copyColumns(sliceColumns(whole, 0, 3), joined, 0);
    expect(joined).toEqual(whole);
  });

  it('is refused when any byte of it is another, or is missing', async () => {
    const file = await writeIndex(headerOf(2, 1), 3, ['a/1.jpg', 'a/2.jpg', 'b/3.jpg']);
    const sound = await readFile(file);
    await fc.assert(
      fc.asyncProperty(fc.nat(sound.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const bytes = Buffer.from(sound);
        bytes[at]! ^= change;
        await writeFile(file, bytes);
        await expect(readIndex(file)).rejects.toMatchObject({
          code: expect.stringMatching(/^(data-loss|invalid-argument)$/),
          remedy: expect.stringMatching(/pack/),
        });
        await writeFile(file, sound.subarray(0, at));
        await expect(readIndex(file)).rejects.toMatchObject({ code: 'data-loss' });
      }),
      { numRuns: 60 },
    );
  });

  it('takes at most 60 bytes of memory for each sample', async () => {
    const samples = 200_000;
    const header = headerOf(samples);
    const paths = Array.from({ length: samples }, (_, id) => `n${id % 1000}/n${id % 1000}_${id}.JPEG`);
    const file = path.join(await makeFolder(), 'index.rondo');
    await writeFile(file, [...encodeIndex(header, allocateColumns(samples), paths)]);
    const { columns } = await readIndex(file);
    const buffers = new Set(Object.values(columns).map((column) => column.buffer as ArrayBuffer));
    const bytes = [...buffers].reduce((sum, buffer) => sum + buffer.byteLength, 0);
    expect(Object.values(columns).map((column) => column.length)).toEqual([
      ...new Array<number>(6).fill(samples),
      samples * 32,
    ]);
    expect(bytes / samples).toBeLessThanOrEqual(60);
  });
});
