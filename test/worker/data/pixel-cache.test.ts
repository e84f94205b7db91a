import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  cachedDataset,
  cachedImage,
  cachedSample,
  openCache,
  pixelFilesIn,
  readCached,
} from '../../support/cached-images.js';
import { makeFolder } from '../../support/images.js';

describe.each([
  ['disk', 0, 2 ** 30],
  ['memory and disk', 1, 2 ** 30],
  ['memory', 4, 2 ** 30],
  ['memory alone', 4, 0],
])('openPixelCache, by %s', (_name, images, diskBytes) => {
  it('gives back what was kept, and nothing else', async () => {
    const folder = await makeFolder();
    const { cache, warnings } = await openCache(folder, images, { diskBytes });
    expect(await readCached(cache, 'train', 0)).toBeNull();
    for (const id of [0, 1, 2]) await cache.keep('train', id, cachedImage(id));
    await cache.keep('valid', 0, cachedImage(9));
    for (const id of [2, 0, 1]) expect(await readCached(cache, 'train', id)).toEqual([...cachedImage(id)]);
    expect(await readCached(cache, 'valid', 0)).toEqual([...cachedImage(9)]);
    await cache.close();
    expect(warnings).toEqual([]);
    expect(await readdir(folder)).toEqual(diskBytes === 0 ? [] : ['pixels']);
  });
});

describe('an image', () => {
  it('is known by its bytes: not by name, split or label', async () => {
    const folder = await makeFolder();
    const first = await openCache(folder);
    const other = await openCache(folder, 0, {
      root: '/elsewhere',
      train: [cachedSample('a', 'x'), { ...cachedSample('b'), label: 1 }],
      valid: [cachedSample('c'), cachedSample('d')],
      digest: 'other',
    });
    await first.cache.keep('train', 0, cachedImage(1));
    expect(await readCached(other.cache, 'valid', 0)).toEqual([...cachedImage(1)]);
    expect(await readCached(other.cache, 'train', 0)).toBeNull();
  });

  it('is another one in a file of the same name and size with other bytes', async () => {
    const folder = await makeFolder();
    const first = await openCache(folder);
    await first.cache.keep('train', 0, cachedImage(1));
    const other = await openCache(folder, 0, {
      train: [cachedSample('other', 'c'), ...[...cachedDataset.train].slice(1)],
    });
    expect(await readCached(other.cache, 'train', 0)).toBeNull();
    // Though the files themselves were exchanged: a record says what it was made from.
    const [one, two] = (await pixelFilesIn(folder)).map((name) => path.join(folder, 'pixels', name));
    for (const [from, to] of [
      [one!, two!],
      [two!, one!],
    ] as const) {
      await writeFile(to, await readFile(from));
      const exchanged = await openCache(folder, 0, {
        train: [cachedSample('other', 'c'), ...[...cachedDataset.train].slice(1)],
      });
      expect(await readCached(exchanged.cache, 'train', 0)).toBeNull();
    }
  });

  it('is kept once for all files that hold it', async () => {
    const folder = await makeFolder();
    const { cache } = await openCache(folder, 0, {
      train: [cachedSample('a', '1'), cachedSample('a', '2')],
      valid: [],
    });
    await cache.keep('train', 0, cachedImage(3));
    expect(await readCached(cache, 'train', 1)).toEqual([...cachedImage(3)]);
  });

  it('of another presize is another one', async () => {
    const folder = await makeFolder();
    await (await openCache(folder)).cache.keep('train', 0, cachedImage(1));
    const { cache } = await openCache(folder, 0, { presize: 9 });
    expect(await readCached(cache, 'train', 0)).toBeNull();
  });
});

describe('damage', () => {
  it('of a record is noticed, each for itself', async () => {
    const folder = await makeFolder();
    const writer = await openCache(folder);
    for (const id of [0, 1, 2]) await writer.cache.keep('train', id, cachedImage(id));
    await writer.cache.keep('valid', 0, cachedImage(3));
    await writer.cache.close();
    const file = path.join(folder, 'pixels', (await pixelFilesIn(folder))[0]!);
    const whole = await readFile(file);
    for (let at = 0; at < 4; at += 1) {
      const damaged = Buffer.from(whole);
      damaged[Math.floor((whole.length * (at + 0.5)) / 4)]! ^= 1;
      await writeFile(file, damaged);
      const { cache } = await openCache(folder);
      const held = [];
      for (const id of [0, 1, 2]) held.push(await readCached(cache, 'train', id));
      held.push(await readCached(cache, 'valid', 0));
      expect(held.filter((pixels) => pixels === null)).toHaveLength(1);
      held.forEach((pixels, seed) => {
        if (pixels !== null) expect(pixels).toEqual([...cachedImage(seed)]);
      });
    }
    await truncate(file, 10);
    const { cache } = await openCache(folder);
    expect(await readCached(cache, 'train', 0)).toBeNull();
    await cache.keep('train', 0, cachedImage(5));
    expect(await readCached(cache, 'train', 0)).toEqual([...cachedImage(5)]);
  });

  it('by a killed process leaves whole records or none, and no lock', async () => {
    const folder = await makeFolder();
    const side = 256;
    const contents = Array.from({ length: 12 }, (_, i) => `image ${i}`);
    const many = { train: contents.map((content) => cachedSample(content)), valid: [], presize: side };
    const script = `
      const { openPixelCache } = await import(process.argv[1]);
      const options = JSON.parse(process.argv[2]);
      const cache = await openPixelCache({ ...options, warn: (text) => { throw new Error(text); } });
      for (let turn = 0; ; turn += 1) {
        for (let id = 0; id < options.dataset.train.length; id += 1) {
          await cache.keep('train', id, new Uint8Array(${side * side * 3}).fill(id + 1));
        }
        if (turn === 0) process.stdout.write('written');
      }`;
    const module = path.resolve('dist/worker/data/pixel-cache.js');
    const options = {
      dataset: { ...cachedDataset, ...many },
      presize: side,
      memoryBytes: 0,
      cacheDir: folder,
      diskBytes: 2 ** 30,
    };
    const writers = [0, 1].map(() =>
      spawn(process.execPath, ['--input-type=module', '-e', script, module, JSON.stringify(options)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    );
    await Promise.all(
      writers.map(async (writer) => {
        await once(writer.stdout, 'data');
        writer.kill('SIGKILL');
        await once(writer, 'exit');
      }),
    );
    const { cache, warnings } = await openCache(folder, 0, many);
    let held = 0;
    for (const id of contents.keys()) {
      const pixels = await readCached(cache, 'train', id);
      if (pixels === null) continue;
      held += 1;
      expect(pixels.every((value) => value === id + 1)).toBe(true);
    }
    // At most what each of the two was writing is torn.
    expect(held).toBeGreaterThanOrEqual(contents.length - 2);
    expect(warnings).toEqual([]);
  });
});
