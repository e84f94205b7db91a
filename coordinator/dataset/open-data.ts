import { type DatasetOptions, indexImages, type OpenedDataset, openDataset } from './dataset.js';
import type { DatasetProgress, IndexedImages, IndexOptions } from './indexed-images.js';
import { type NamedData, type NamedDataProgress, namedData, openNamedData } from './named-data.js';

/** Fetching a published data set counts bytes; what follows, and other data, counts images. */
export type DataProgress =
  | DatasetProgress
  | (NamedDataProgress & { readonly subject: string; readonly unit: 'bytes' });

interface Named {
  onProgress(progress: DataProgress): void;
  /** Data sets by name, in place of Rondo's. */
  readonly catalogue?: Readonly<Record<string, NamedData>>;
}

export type DataOptions = Omit<DatasetOptions, 'onProgress'> & Named;

/**
 * `openDataset` for a folder, 'sample', or the name of a published data set, which is fetched first unless it
 * is there and brings its label pattern along. Throws what `openNamedData` and `openDataset` throw.
 */
export async function openData(o: DataOptions): Promise<OpenedDataset> {
  return openDataset({ ...o, ...(await findFolder(o)) });
}

/** `indexImages` for the same. */
export async function openImages(o: Omit<IndexOptions, 'onProgress'> & Named): Promise<IndexedImages> {
  return indexImages({ ...o, ...(await findFolder(o)) });
}

async function findFolder({
  data,
  labelPattern: given,
  catalogue = namedData,
  cacheDir,
  signal,
  onProgress,
}: Omit<IndexOptions, 'onProgress'> & Named): Promise<Pick<IndexOptions, 'data' | 'labelPattern'>> {
  if (!Object.hasOwn(catalogue, data)) return { data };
  const named = await openNamedData(data, {
    cacheDir,
    signal,
    onProgress: (progress) => onProgress({ ...progress, subject: data, unit: 'bytes' }),
    catalogue,
  });
  return { data: named.folder, labelPattern: given ?? named.labelPattern };
}
