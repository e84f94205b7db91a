import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openPixelCache } from '../../../worker/data/pixel-cache.js';
import { makeFolder } from '../../support/images.js';

const presize = 8;
const imageBytes = presize * presize * 3;
const sample = (name: string) => ({ path: name, label: 0, width: 8, height: 8, digest: name });
const dataset = {
  root: '/nowhere',
  classes: ['a', 'b'],
  train: ['c', 'a', 'd'].map(sample),
  valid: ['b'].map(sample),
  digest: 'digest',
};

function image(seed: number): Uint8Array {
  return Uint8Array.from({ length: imageBytes }, (_, i) => (i * 31 + seed * 17) % 256);
}

async function open(cacheDir: string, images = 0, changes: Partial<typeof dataset> = {}) {
  const warnings: string[] = [];
  const cache = await openPixelCache({
    dataset: { ...dataset, ...changes },
    presize,
    memoryBytes: images * imageBytes,
    cacheDir,
    warn: (message) => warnings.push(message),
  });
  return { cache, warnings };
}

describe.each([
  ['disk', 0],
  ['memory and disk', 1],
  ['memory', 4],
])('openPixelCache, by %s', (_name, images) => {
  it('gives back what was put in, and nothing else', async () => {
    const { cache, warnings } = await open(await makeFolder(), images);
    const into = new Uint8Array(new SharedArrayBuffer(imageBytes));
    expect(await cache.get('train', 0, into)).toBe(false);
    for (const id of [0, 1, 2]) await cache.put('train', id, image(id));
    await cache.put('valid', 0, image(9));
    for (const id of [2, 0, 1]) {
      expect(await cache.get('train', id, into)).toBe(true);
      expect([...into]).toEqual([...image(id)]);
    }
    expect(await cache.get('valid', 0, into)).toBe(true);
    expect([...into]).toEqual([...image(9)]);
    await cache.close();
    expect(warnings).toEqual([]);
  });
});

describe('openPixelCache', () => {
  it('shares the file with other workers and with another split of the same files', async () => {
    const folder = await makeFolder();
    const first = await open(folder);
    const other = await open(folder, 0, { train: ['a', 'b'].map(sample), valid: ['c', 'd'].map(sample) });
    await first.cache.put('train', 0, image(1));
    const into = new Uint8Array(imageBytes);
    expect(await other.cache.get('valid', 0, into)).toBe(true);
    expect(into).toEqual(image(1));
    expect(await other.cache.get('train', 0, into)).toBe(false);
    await Promise.all([first.cache.close(), other.cache.close()]);
  });

  it('does not mix data sets or presizes', async () => {
    const folder = await makeFolder();
    const first = await open(folder);
    await first.cache.put('train', 0, image(1));
    const other = await open(folder, 0, { digest: 'other' });
    expect(await other.cache.get('train', 0, new Uint8Array(imageBytes))).toBe(false);
    await Promise.all([first.cache.close(), other.cache.close()]);
  });

  it('ignores damaged and half-written records, each for itself', async () => {
    const folder = await makeFolder();
    const into = new Uint8Array(imageBytes);
    const writer = await open(folder);
    for (const id of [0, 1, 2]) await writer.cache.put('train', id, image(id));
    await writer.cache.close();
    const file = path.join(folder, (await readdir(folder))[0]!);
    const whole = await readFile(file);
    const damaged = Buffer.from(whole);
    // Record 0 is train 1 (a), record 2 is train 0 (c), record 3 is train 2 (d).
    damaged[40]! ^= 1;
    await writeFile(file, damaged);
    await truncate(file, whole.length - 1);
    const { cache } = await open(folder);
    expect(await cache.get('train', 1, into)).toBe(false);
    expect(await cache.get('train', 0, into)).toBe(true);
    expect(into).toEqual(image(0));
    expect(await cache.get('train', 2, into)).toBe(false);
    await cache.put('train', 1, image(1));
    expect(await cache.get('train', 1, into)).toBe(true);
    await cache.close();
  });

  it('does without a disk that cannot be written to, and says so once', async () => {
    const folder = await makeFolder();
    await writeFile(path.join(folder, 'file'), '');
    const { cache, warnings } = await open(path.join(folder, 'file', 'below'), 1);
    const into = new Uint8Array(imageBytes);
    await cache.put('train', 0, image(0));
    await cache.put('train', 1, image(1));
    expect(await cache.get('train', 0, into)).toBe(true);
    expect(await cache.get('train', 1, into)).toBe(false);
    expect(warnings).toHaveLength(1);
    await cache.close();
    await cache.close();
  });
});
