import { existsSync } from 'node:fs';
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { tryLock } from '../../../runtime/file-lock.js';
import { lockOf, openContentCache, partOf } from '../../../runtime/storage/content-cache.js';
import { makeFolder, sha256 } from '../../support/images.js';

const entries = Array.from({ length: 6 }, (_, index) => Buffer.alloc(10_000, index));
const digests = entries.map(sha256);

/** A shard that has begun to arrive, before all else that is in the cache. */
async function beginShard(entry: string): Promise<void> {
  await mkdir(path.dirname(entry), { recursive: true });
  for (const file of [partOf(entry), lockOf(entry)]) {
    await writeFile(file, Buffer.alloc(15_000));
    await utimes(file, 1, 1);
  }
}

it('a full cache keeps what arrives, with its lock, and removes what a killed process left', async () => {
  const folder = path.join(await makeFolder(), 'objects');
  const cache = openContentCache({ folder, maxBytes: 45_000 });
  const [arriving, left] = ['a', 'b'].map((name) => cache.pathOf(sha256(Buffer.from(name)))) as [
    string,
    string,
  ];
  await beginShard(arriving);
  await beginShard(left);
  const unlock = tryLock(lockOf(arriving))!;
  for (const [index, bytes] of entries.entries()) await cache.keep(digests[index]!, bytes);
  await cache.close();
  expect([partOf(arriving), lockOf(arriving)].map((file) => existsSync(file))).toEqual([true, true]);
  // Nobody else has begun to write it.
  expect(tryLock(lockOf(arriving))).toBeNull();
  expect(await readdir(path.dirname(left))).toEqual([]);
  const kept = digests.filter((digest) => existsSync(cache.pathOf(digest)));
  // What arrives takes its part of the room.
  expect(kept.length).toBeGreaterThan(0);
  expect(kept.length * 10_000 + 15_000).toBeLessThanOrEqual(45_000);

  unlock();
  for (const [index, bytes] of entries.entries()) await cache.keep(digests[index]!, bytes);
  await cache.close();
  expect(existsSync(partOf(arriving))).toBe(false);
});
