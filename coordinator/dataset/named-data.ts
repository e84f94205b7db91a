import { access, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { abortReason } from '../../runtime/deadline.js';
import { RondoError } from '../../runtime/errors.js';
import { nearestName } from '../../runtime/nearest-name.js';
import { downloadFile, urlOf, withFileLock } from '../download/download.js';
import { unpackImages } from '../download/unpack.js';

/** A published data set: one gzipped tar file of images. */
export interface NamedData {
  readonly title: string;
  readonly url: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly md5?: string;
  /** One capture group, matched against '/' + relative path. */
  readonly labelPattern: string;
}

/**
 * Oxford-IIIT Pet (Parkhi et al., "Cats and Dogs", CVPR 2012): 7,390 images of 37 breeds. URL and MD5 as in
 * torchvision/datasets/oxford_iiit_pet.py; size and SHA-256 as in TensorFlow Datasets'
 * datasets/oxford_iiit_pet/checksums.tsv. The images are those of fastai's lesson, whose own archive adds the
 * annotations but has no published digest of the whole file (fastai/data/checks.txt: the first MiB only).
 */
const pets: NamedData = {
  title: 'Oxford-IIIT Pet',
  url: 'https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz',
  bytes: 791_918_971,
  sha256: '67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d',
  md5: '5c4f3ee8e5d25df40f4fd59a7f44e54c',
  labelPattern: '/([^/]+)_\\d+.jpg$',
};

/** The data sets that `--data` knows by name. */
export const namedData: Readonly<Record<string, NamedData>> = { pets };

/** In bytes, first of the archive's download, then of the archive unpacked; total 0: not known. */
export interface NamedDataProgress {
  readonly phase: 'downloading' | 'unpacking';
  readonly done: number;
  readonly total: number;
}

export interface NamedDataOptions {
  /** `data/NAME.tar.gz` and the folder `data/NAME` lie in it. */
  readonly cacheDir: string;
  readonly signal: AbortSignal;
  onProgress(progress: NamedDataProgress): void;
  /** Data sets by name, in place of Rondo's. */
  readonly catalogue?: Readonly<Record<string, NamedData>>;
}

/**
 * The folder of a data set's images: downloaded and unpacked by the first call (from RONDO_DATA_URL when that
 * is set), found by later ones. The folder gets its name when it is whole.
 *
 * @throws RondoError invalid-argument for an unknown name; what `downloadFile` throws; data-loss for a
 *   damaged archive.
 */
export async function openNamedData(
  name: string,
  o: NamedDataOptions,
): Promise<{ folder: string; labelPattern: string }> {
  const data = find(name, o.catalogue ?? namedData);
  const folder = join(o.cacheDir, 'data', name);
  const found = { folder, labelPattern: data.labelPattern };
  if (await exists(folder)) return found;
  const archive = await downloadFile({
    ...data,
    url: urlOf(`${name}.tar.gz`, data.url, 'RONDO_DATA_URL'),
    file: `${folder}.tar.gz`,
    signal: o.signal,
    onProgress: (progress) => o.onProgress({ phase: 'downloading', ...progress }),
  });
  const onWait = () => o.onProgress({ phase: 'unpacking', done: 0, total: data.bytes });
  await withFileLock(`${folder}.lock`, { signal: o.signal, onWait }, async () => {
    if (!(await exists(folder))) await unpackInto(folder, archive, o);
  });
  return found;
}

async function unpackInto(folder: string, archive: string, o: NamedDataOptions): Promise<void> {
  const temporary = `${folder}.unpacking`;
  try {
    // What a crash has left.
    await rm(temporary, { recursive: true, force: true });
    const images = await unpackImages({
      archive,
      folder: temporary,
      signal: o.signal,
      onProgress: (progress) => o.onProgress({ phase: 'unpacking', ...progress }),
    });
    if (images === 0) throw new RondoError('data-loss', 'it holds no images');
    await rename(temporary, folder);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    if (o.signal.aborted) throw abortReason(o.signal, `unpacking ${archive}`);
    const { code: found, message, remedy } = RondoError.from(error);
    // An error without a known system code comes from gzip or tar: the archive is damaged.
    const code = found === 'internal' ? 'data-loss' : found;
    throw new RondoError(code, `cannot unpack ${archive}: ${message}`, {
      remedy: remedy ?? remedyFor(code, archive),
      cause: error,
    });
  }
}

function remedyFor(code: string, archive: string): string {
  if (code === 'resource-exhausted')
    return 'make room there, or choose another cache folder with RONDO_CACHE';
  if (code === 'permission-denied')
    return 'make the cache folder writable, or choose another with RONDO_CACHE';
  return `remove ${archive} to have it fetched again`;
}

function find(name: string, catalogue: Readonly<Record<string, NamedData>>): NamedData {
  const data = Object.hasOwn(catalogue, name) ? catalogue[name] : undefined;
  if (data !== undefined) return data;
  const names = Object.keys(catalogue);
  const near = nearestName(name, names);
  throw new RondoError('invalid-argument', `there is no data set named "${name}"`, {
    remedy: near === null ? `the names are: ${names.join(', ')}` : `did you mean "${near}"?`,
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
