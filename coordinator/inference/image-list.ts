import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { imageEndings } from '../../runtime/images.js';
import { listImageFiles } from '../dataset/image-files.js';
import { type DataRemark, remarkPassedOver } from '../dataset/remarks.js';

export interface ImageList {
  /** As the person can find them: what was given, or a path below it. */
  readonly files: readonly string[];
  /** What a folder holds that leads nowhere. */
  readonly broken: readonly { readonly image: string; readonly reason: string }[];
  /** What the folders hold beside them. */
  readonly remarks: readonly DataRemark[];
}

/**
 * Files as they are given, whatever they hold, and every image of the folders among them, sorted by path.
 * Throws not-found when that is none.
 */
export async function listImages(inputs: readonly string[], signal: AbortSignal): Promise<ImageList> {
  const files: string[] = [];
  const broken: { image: string; reason: string }[] = [];
  const remarks: DataRemark[] = [];
  for (const input of inputs) {
    const found = await stat(input).catch(() => null);
    if (!found?.isDirectory()) {
      files.push(input);
      continue;
    }
    const listing = await listImageFiles(input, { signal, onFound: () => {} });
    for (const { path } of listing.files) files.push(join(input, path));
    for (const { path, reason } of [...listing.broken, ...listing.unlisted]) {
      broken.push({ image: join(input, path), reason });
    }
    // Sub-folders without images are not worth a remark: the folders given are only searched.
    for (const remark of remarkPassedOver({ ...listing, emptyFolders: [] }, false)) remarks.push(remark);
  }
  if (files.length + broken.length === 0) {
    throw new RondoError('not-found', `there are no images in ${inputs.join(', ')}`, {
      remedy: `a folder is searched for files that end in ${imageEndings}, its own folders included`,
    });
  }
  return { files, broken, remarks };
}
