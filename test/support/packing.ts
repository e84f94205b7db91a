import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { indexImages } from '../../coordinator/dataset/dataset.js';
import type { IndexOptions } from '../../coordinator/dataset/indexed-images.js';
import { type PackRequest, packImages } from '../../coordinator/pack/pack-images.js';
import type { PackOptions } from '../../coordinator/pack/plan.js';
import { sha256 } from './images.js';

const never = new AbortController().signal;

export const plainPack: PackOptions = {
  ...{ order: 'shuffled', seed: 42, keys: 'path' },
  ...{ shardBytes: 1 << 16, resize: null, quality: null },
};

/** Indexes a folder and packs it into `out`. */
export async function packFolder(
  data: string,
  out: string,
  o: Partial<PackRequest & Omit<IndexOptions, 'onProgress'>> = {},
): ReturnType<typeof packImages> {
  const signal = o.signal ?? never;
  const images = await indexImages({
    data,
    cacheDir: path.join(data, '.cache'),
    ...o,
    onProgress() {},
    signal,
  });
  return packImages({ ...plainPack, images, out, onProgress() {}, ...o, signal });
}

/** SHA-256 of each file in a folder, hidden ones included, by name. */
export async function digestFolder(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).sort();
  const digests = names.map(async (name) => [name, sha256(await readFile(path.join(folder, name)))]);
  return Object.fromEntries(await Promise.all(digests));
}
