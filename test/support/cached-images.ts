import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished } from 'vitest';
import type { Dataset } from '../../proto/dataset.js';
import type { Sample } from '../../runtime/storage/sample-columns.js';
import { openPixelCache, type PixelCache, type PixelCacheOptions } from '../../worker/data/pixel-cache.js';
import type { Split } from '../../worker/data/source.js';
import { sha256 } from './images.js';

const presize = 8;
export const imageBytes = presize * presize * 3;

/** An image that is known by `content`. */
export function cachedSample(content: string, name = content): Sample {
  return { path: name, label: 0, width: 8, height: 8, digest: sha256(Buffer.from(content)) };
}

export const cachedDataset: Dataset = {
  root: '/nowhere',
  classes: ['a', 'b'],
  train: ['c', 'a', 'd'].map((content) => cachedSample(content)),
  valid: ['b'].map((content) => cachedSample(content)),
  digest: 'digest',
};

/** The pixels of the image that is kept as `seed`. */
export function cachedImage(seed: number): Uint8Array {
  return Uint8Array.from({ length: imageBytes }, (_, i) => (i * 31 + seed * 17) % 256);
}

/** A cache of these images, closed when the test ends, and what it warned of. */
export async function openCache(
  cacheDir: string,
  images = 0,
  changes: Partial<Dataset & PixelCacheOptions> = {},
) {
  const warnings: string[] = [];
  const cache = await openPixelCache({
    dataset: { ...cachedDataset, ...changes },
    presize,
    memoryBytes: images * imageBytes,
    cacheDir,
    diskBytes: 2 ** 30,
    warn: (message) => warnings.push(message),
    ...changes,
  });
  onTestFinished(() => cache.close());
  return { cache, warnings };
}

/** The pixels that a cache holds, or null. */
export async function readCached(cache: PixelCache, split: Split, id: number): Promise<number[] | null> {
  let pixels: number[] | null = null;
  const held = await cache.read(split, id, (found) => {
    pixels = [...found];
  });
  expect(held).toBe(pixels !== null);
  return pixels;
}

/** Names of the files that hold pixels. */
export async function pixelFilesIn(cacheDir: string): Promise<string[]> {
  return (await readdir(path.join(cacheDir, 'pixels'))).sort();
}

/** Names that an image of the given content is kept under. */
export const onlyImage = (content: string): Partial<Dataset> => ({
  train: [cachedSample(content)],
  valid: [],
});
