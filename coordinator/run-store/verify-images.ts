import { stat } from 'node:fs/promises';
import path, { isAbsolute } from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { threadPoolSize } from '../../runtime/limiter.js';
import { openSampleReader } from '../../runtime/storage/sample-reader.js';
import { isUrl } from '../../runtime/storage/store.js';
import { statImageFile } from '../dataset/image-files.js';
import { findPack, indexPack, type Pack } from '../dataset/packed-images.js';
import { verifyImages } from '../dataset/verify.js';
import { compareImages, type ImageChanges, readImageRecord, relativeFolder } from './image-record.js';
import type { RunDirectory, RunRecord } from './run-directory.js';

/** Whether a run's images are still those that it began with. */
export type ImagesVerdict =
  | { readonly status: 'unchanged'; readonly count: number }
  | ({ readonly status: 'changed' } & Omit<ImageChanges, 'added'>)
  /** Nothing can be said. */
  | { readonly status: 'unavailable'; readonly reason: string };

export interface VerifyImagesOptions {
  /** Where the images are now, and those to validate on that have a folder of their own. */
  readonly moved: { readonly data?: string; readonly valid?: string };
  readonly cacheDir: string;
  readonly signal: AbortSignal;
  onProgress(done: number, total: number): void;
}

/**
 * Compares the files of a run's data folder with the digests that it recorded; files that the run did not use
 * are not looked at. What did not change since it was last verified is not read again.
 */
export async function verifyRunImages(
  directory: RunDirectory,
  { dataRoot, validRoot, training }: RunRecord,
  o: VerifyImagesOptions,
): Promise<ImagesVerdict> {
  const recorded = await readImageRecord(directory.images).catch((thrown: unknown) =>
    RondoError.from(thrown),
  );
  if (recorded instanceof RondoError) {
    if (recorded.code !== 'not-found') throw recorded;
    return { status: 'unavailable', reason: 'the run did not record their digests' };
  }
  const data = o.moved.data ?? dataRoot;
  // What was asked for names the tars that have no index.
  const asked = isAbsolute(training.data) || isUrl(training.data) ? training.data : dataRoot;
  const packed = o.moved.data ?? asked;
  const pack = packed === undefined ? null : await findPack(packed);
  if (pack !== null) return verifyPack(pack, recorded, o);
  const valid = o.moved.valid ?? validRoot;
  if (data === undefined || !(await isFolder(data))) return away(data, '--data');
  if (valid !== undefined && !(await isFolder(valid))) return away(valid, '--valid');
  const way =
    dataRoot === undefined || validRoot === undefined ? null : `${relativeFolder(dataRoot, validRoot)}/`;
  const names = [...recorded.keys()];
  const isValid = (name: string) => way !== null && name.startsWith(way);
  const digests = new Map<string, string>();
  const look = async (root: string, prefix: string, own: readonly string[]) => {
    const files = [];
    for (const name of own) {
      o.signal.throwIfAborted();
      const file = await statImageFile(root, name.slice(prefix.length));
      if (file !== null) files.push(file);
    }
    const before = digests.size;
    const findings = await verifyImages(root, files, {
      ...o,
      onProgress: (done) => o.onProgress(before + done, names.length),
    });
    // A file that cannot be decoded any more has changed, whatever its digest.
    for (const [file, finding] of findings)
      digests.set(prefix + file.path, finding.usable ? finding.digest : '');
  };
  await look(
    data,
    '',
    names.filter((name) => !isValid(name)),
  );
  if (way !== null) await look(valid!, way, names.filter(isValid));
  const { changed, missing } = compareImages(recorded, digests);
  if (changed.length + missing.length > 0) return { status: 'changed', changed, missing };
  return { status: 'unchanged', count: recorded.size };
}

/** The images of a pack were decoded when they were packed: their bytes tell whether they are the same. */
async function verifyPack(
  pack: Pack,
  recorded: ReadonlyMap<string, string>,
  { signal, onProgress }: VerifyImagesOptions,
): Promise<ImagesVerdict> {
  const { images, shards } = await indexPack(pack, { signal, skipBroken: true, onProgress() {} });
  const wanted = Array.from(images).filter(({ path, digest }) => recorded.get(path) === digest);
  const changed: string[] = [];
  const reader = openSampleReader(pack.place, shards);
  const queue = wanted.values();
  let done = 0;
  onProgress(done, wanted.length);
  const readRest = async () => {
    for (const image of queue) {
      signal.throwIfAborted();
      await reader.read(image, signal).catch((error: unknown) => {
        if (!(error instanceof RondoError) || error.code !== 'failed-precondition') throw error;
        changed.push(image.path);
      });
      done += 1;
      onProgress(done, wanted.length);
    }
  };
  try {
    await Promise.all(Array.from({ length: threadPoolSize() }, readRest));
  } finally {
    await reader.close();
  }
  const there = new Set(Array.from(images, ({ path }) => path));
  const same = new Set(wanted.map(({ path }) => path));
  for (const path of recorded.keys()) if (there.has(path) && !same.has(path)) changed.push(path);
  const missing = [...recorded.keys()].filter((path) => !there.has(path));
  if (changed.length + missing.length > 0) return { status: 'changed', changed: changed.sort(), missing };
  return { status: 'unchanged', count: recorded.size };
}

function away(folder: string | undefined, option: string): ImagesVerdict {
  const reason = `there is no folder ${folder}; if they have moved: ${option} DIR`;
  return { status: 'unavailable', reason };
}

async function isFolder(folder: string): Promise<boolean> {
  return stat(path.resolve(folder)).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}
