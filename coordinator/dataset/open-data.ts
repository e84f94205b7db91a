import { type DatasetOptions, type DatasetProgress, openDataset } from './dataset.js';
import { type NamedData, type NamedDataProgress, namedData, openNamedData } from './named-data.js';

/** Fetching a published data set counts bytes; what follows, and other data, counts images. */
export type DataProgress =
  | DatasetProgress
  | (NamedDataProgress & { readonly subject: string; readonly unit: 'bytes' });

export interface DataOptions extends Omit<DatasetOptions, 'onProgress'> {
  onProgress(progress: DataProgress): void;
  /** Data sets by name, in place of Rondo's. */
  readonly catalogue?: Readonly<Record<string, NamedData>>;
}

/**
 * `openDataset` for a folder, 'sample', or the name of a published data set, which is fetched first unless it
 * is there and brings its label pattern along. Throws what `openNamedData` and `openDataset` throw.
 */
export async function openData({ catalogue = namedData, ...o }: DataOptions): ReturnType<typeof openDataset> {
  if (!Object.hasOwn(catalogue, o.data)) return openDataset(o);
  const { folder, labelPattern } = await openNamedData(o.data, {
    cacheDir: o.cacheDir,
    signal: o.signal,
    onProgress: (progress) => o.onProgress({ ...progress, subject: o.data, unit: 'bytes' }),
    catalogue,
  });
  return openDataset({ ...o, data: folder, labelPattern: o.labelPattern ?? labelPattern });
}
