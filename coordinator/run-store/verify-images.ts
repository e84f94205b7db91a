import { stat } from 'node:fs/promises';
import path from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { statImageFile } from '../dataset/image-files.js';
import { verifyImages } from '../dataset/verify.js';
import { compareImages, type ImageChanges, readImageRecord } from './image-record.js';
import type { RunDirectory, RunRecord } from './run-directory.js';

/** Whether a run's images are still those that it began with. */
export type ImagesVerdict =
  | { readonly status: 'unchanged'; readonly count: number }
  | ({ readonly status: 'changed' } & Omit<ImageChanges, 'added'>)
  /** Nothing can be said. */
  | { readonly status: 'unavailable'; readonly reason: string };

/**
 * Compares the files of a run's data folder with the digests that it recorded; files that the run did not use
 * are not looked at. What did not change since it was last verified is not read again.
 */
export async function verifyRunImages(
  directory: RunDirectory,
  { dataRoot }: RunRecord,
  o: { cacheDir: string; signal: AbortSignal; onProgress(done: number, total: number): void },
): Promise<ImagesVerdict> {
  const recorded = await readImageRecord(directory.images).catch((thrown: unknown) =>
    RondoError.from(thrown),
  );
  if (recorded instanceof RondoError) {
    if (recorded.code !== 'not-found') throw recorded;
    return { status: 'unavailable', reason: 'the run did not record their digests' };
  }
  if (dataRoot === undefined || !(await isFolder(dataRoot))) {
    return {
      status: 'unavailable',
      reason: `there is no folder ${dataRoot}; if they have moved: --data DIR`,
    };
  }
  const files = [];
  for (const name of recorded.keys()) {
    o.signal.throwIfAborted();
    const file = await statImageFile(dataRoot, name);
    if (file !== null) files.push(file);
  }
  const findings = await verifyImages(dataRoot, files, o);
  const digests = new Map<string, string>();
  // A file that cannot be decoded any more has changed, whatever its digest.
  for (const [file, finding] of findings) digests.set(file.path, finding.usable ? finding.digest : '');
  const { changed, missing } = compareImages(recorded, digests);
  if (changed.length + missing.length > 0) return { status: 'changed', changed, missing };
  return { status: 'unchanged', count: recorded.size };
}

async function isFolder(folder: string): Promise<boolean> {
  return stat(path.resolve(folder)).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}
