import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { openSampleReader, type SampleReaderOptions } from '../../runtime/storage/sample-reader.js';
import { startFileServer } from './file-server.js';
import { makeFolder, sha256 } from './images.js';

// A shard on a server, and readers of its samples.

export const shard = randomBytes(100 * 512);
export const shards = [{ name: 'images-000000.tar', digest: sha256(shard) }];
/** Ten samples of 700 bytes and more, one after the other. */
export const samples = Array.from({ length: 10 }, (_, index) => {
  const [block, bytes] = [10 * index, 700 + index];
  return {
    path: `a/${index}.jpg`,
    digest: sha256(shard.subarray(block * 512, block * 512 + bytes)),
    range: { shard: 0, block, bytes },
  };
});
export const sampleBytes = samples.reduce((sum, { range }) => sum + range.bytes, 0);
export const patience = { tries: 4, backoffMs: 1, maxBackoffMs: 5, stallMs: 2_000 };

export async function makeReaders(maxBytes = 2 ** 20) {
  const server = await startFileServer({ '/packed/images-000000.tar': shard });
  const folder = path.join(await makeFolder(), 'objects');
  /** `expected`: what is expected from the start; the shard, unless given. */
  const open = ({ expected = [0], ...o }: SampleReaderOptions & { expected?: null | number[] } = {}) => {
    const cache = { folder, maxBytes };
    const reader = openSampleReader(`${server.url}/packed`, shards, { patience, cache, ...o });
    if (expected !== null) reader.expect({ begun: [], now: expected, next: [] });
    return reader;
  };
  return { server, folder, open };
}

export async function readAll(reader: ReturnType<typeof openSampleReader>): Promise<void> {
  const read = await Promise.all(samples.map((sample) => reader.read(sample)));
  expect(read.map(sha256)).toEqual(samples.map(({ digest }) => digest));
}

/** Every file in a folder and below, by path. */
export async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

export async function flipByte(file: string, at: number): Promise<void> {
  const bytes = await readFile(file);
  bytes[at]! ^= 1;
  await writeFile(file, bytes);
}
