import path from 'node:path';
import { type DatasetOptions, openDataset } from '../../coordinator/dataset/dataset.js';
import type { DatasetProgress } from '../../coordinator/dataset/indexed-images.js';
import { jpegBytes, makeFolder, writeFiles } from './images.js';

export const jpeg = await jpegBytes(0, 64, 64);
export const small = await jpegBytes(0, 8, 8);

/** A folder of `count` images, half in class a and half in class b, and some more files. */
export async function makeImages(count: number, more: Record<string, Uint8Array | string> = {}) {
  const root = await makeFolder();
  const names = Array.from(
    { length: count },
    (_, i) => `${i % 2 === 0 ? 'a' : 'b'}/${String(i).padStart(3, '0')}.jpg`,
  );
  await writeFiles(root, { ...Object.fromEntries(names.map((name) => [name, small])), ...more });
  return root;
}

/** Its index, and the progress that was reported. */
export async function openImages(data: string, o: Partial<DatasetOptions> = {}) {
  const progress: DatasetProgress[] = [];
  const opened = await openDataset({
    data,
    validPct: 0.2,
    seed: 42,
    cacheDir: path.join(data, '.cache'),
    signal: new AbortController().signal,
    onProgress: (p) => progress.push(p),
    ...o,
  });
  return { ...opened, progress };
}
