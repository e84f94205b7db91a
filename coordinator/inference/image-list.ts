import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { listImageFiles } from '../dataset/image-files.js';

export interface ImageList {
  /** As the person can find them: what was given, or a path below it. */
  readonly files: readonly string[];
  /** What a folder holds that leads nowhere. */
  readonly broken: readonly { readonly image: string; readonly reason: string }[];
}

/**
 * Files as they are given, whatever they hold, and every image of the folders among them, sorted by path. Throws
 * not-found when that is none.
 */
export async function listImages(inputs: readonly string[], signal: AbortSignal): Promise<ImageList> {
  const files: string[] = [];
  const broken: { image: string; reason: string }[] = [];
  for (const input of inputs) {
    const found = await stat(input).catch(() => null);
    if (!found?.isDirectory()) {
      files.push(input);
      continue;
    }
    const listing = await listImageFiles(input, { signal, onFound: () => {} });
    for (const { path } of listing.files) files.push(join(input, path));
    for (const { path, reason } of listing.broken) broken.push({ image: join(input, path), reason });
  }
  if (files.length + broken.length === 0) {
    throw new RondoError('not-found', `there are no images in ${inputs.join(', ')}`, {
      remedy: 'a folder is searched for .jpg, .jpeg, .png and .webp files, its own folders included',
    });
  }
  return { files, broken };
}
