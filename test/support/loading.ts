import path from 'node:path';
import { onTestFinished } from 'vitest';
import { type BatchRequest, type LoaderOptions, openLoader } from '../../worker/data/loader.js';
import { openSource, type Source } from '../../worker/data/source.js';
import { makeFolder, writeDataset } from './images.js';

export const config = { seed: 7, size: 12, presize: 16, microBatch: 4, augment: 'fastai' } as const;
export const imageBytes = config.presize ** 2 * 3;
const never = new AbortController().signal;

/** Loaders of 14 images that are drawn in a folder of their own, whose reads are counted. */
export async function makeLoader(o: Partial<LoaderOptions> = {}) {
  const root = await makeFolder();
  const dataset = await writeDataset(path.join(root, 'images'), 14, 4);
  const folder = openSource(dataset);
  const reads: string[] = [];
  const source: Source = {
    ...folder,
    read: (split, id) => {
      reads.push(`${split} ${id}`);
      return folder.read(split, id);
    },
  };
  const warnings: string[] = [];
  const open = (more: Partial<LoaderOptions> = {}) => {
    const loader = openLoader({
      dataset,
      config,
      cacheBytes: 100 * imageBytes,
      cacheDir: path.join(root, 'cache'),
      diskCacheBytes: 2 ** 30,
      source,
      warn: (message) => warnings.push(message),
      ...o,
      ...more,
    });
    onTestFinished(() => loader.close());
    return loader;
  };
  return { root, dataset, folder, reads, warnings, open };
}

export function request(
  ids: number[],
  epoch: number | null = null,
  split: 'train' | 'valid' = 'train',
): BatchRequest {
  return { split, ids: Uint32Array.from(ids), epoch };
}

export const everything = [
  request([3, 1, 2, 0], 5),
  request([9, 8, 7, 6, 5, 4], 5),
  request([2, 0, 1, 3], null, 'valid'),
];

/** What a batch holds, copied, as it is released. */
export async function collect(
  loader: ReturnType<typeof openLoader>,
  requests: Iterable<BatchRequest>,
  depth = 3,
) {
  const batches = [];
  for await (const { release, ...arrays } of loader.load(requests, { depth, signal: never })) {
    batches.push({
      ids: [...arrays.ids],
      labels: [...arrays.labels],
      pixels: Buffer.from(arrays.pixels),
      transforms: [...arrays.transforms],
      lighting: [...arrays.lighting],
    });
    release();
  }
  return batches;
}
