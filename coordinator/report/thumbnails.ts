import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { openImage } from '../../runtime/images.js';

/** Side of a thumbnail, in pixels: sharp on screens of two pixels per pixel in a grid of six. */
export const thumbnailSide = 288;

/**
 * The centre square of an image, as the network sees it, as JPEG; null when the file cannot be read any more.
 */
export async function readThumbnail(root: string, relativePath: string): Promise<Buffer | null> {
  try {
    const bytes = await readFile(path.join(root, relativePath));
    return await openImage(bytes)
      .resize(thumbnailSide, thumbnailSide, { fit: 'cover' })
      .flatten({ background: 'white' })
      .toColourspace('srgb')
      .jpeg({ quality: 82 })
      .toBuffer();
  } catch {
    // A report on a folder that has moved still has everything else to say.
    return null;
  }
}
