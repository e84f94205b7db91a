import { createReadStream } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { RondoError } from '../../runtime/errors.js';
import { imageName } from '../../runtime/images.js';
import { makeFolder } from '../../runtime/make-folder.js';

export interface UnpackOptions {
  /** A gzipped tar file. */
  readonly archive: string;
  /** Made when absent; the files keep their paths below it. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** In bytes of the archive. */
  onProgress(progress: { done: number; total: number }): void;
}

/**
 * Unpacks the images (jpg, jpeg, png and webp in any case, not hidden) and resolves to their number. Links,
 * devices and all other files are passed over: nothing is ever written through a link.
 *
 * @throws RondoError data-loss for a damaged archive, or one with an entry that points out of its folder.
 */
export async function unpackImages(o: UnpackOptions): Promise<number> {
  const { size: total } = await stat(o.archive);
  const source = createReadStream(o.archive, { highWaterMark: 1 << 18 });
  const entries = extract();
  const reading = pipeline(source, createGunzip(), entries, { signal: o.signal });
  // Its failure reaches the loop below through `entries`.
  reading.catch(() => {});
  const folders = new Set<string>();
  let images = 0;
  try {
    for await (const entry of entries) {
      const { name, type } = entry.header;
      const path = pathWithin(name, o.archive);
      if (type !== 'file' || !isImage(path)) {
        entry.resume();
        continue;
      }
      const target = join(o.folder, path);
      if (!folders.has(dirname(target))) makeFolder(dirname(target));
      folders.add(dirname(target));
      await writeFile(target, entry as AsyncIterable<Uint8Array>);
      images += 1;
      o.onProgress({ done: source.bytesRead, total });
    }
    await reading;
  } finally {
    source.destroy();
  }
  o.onProgress({ done: total, total });
  return images;
}

function isImage(path: string): boolean {
  const name = basename(path);
  return imageName.test(name) && !name.startsWith('.');
}

function pathWithin(name: string, archive: string): string {
  const path = posix.normalize(name);
  const outside = posix.isAbsolute(path) || path.split('/').includes('..') || /[\\\0]/.test(path);
  if (!outside) return path;
  throw new RondoError(
    'data-loss',
    `${archive} holds ${JSON.stringify(name)}, which points out of its folder`,
    {
      remedy: `do not trust where ${archive} came from, and remove it`,
    },
  );
}
