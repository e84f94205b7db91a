import { stat } from 'node:fs/promises';
import path from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { openStore } from '../../runtime/storage/open-store.js';
import { isUrl, type Store } from '../../runtime/storage/store.js';
import { publicUrl } from '../../runtime/storage/url-access.js';
import type { IndexedImage, IndexedImages, IndexOptions } from './indexed-images.js';
import {
  decodeIndex,
  decodePaths,
  type IndexHeader,
  indexName,
  readIndex,
  type ShardIndex,
} from './shard-index.js';
import { drawInstead } from './split.js';

/**
 * The place of packed images: a URL, or a folder with an index, which may be named instead. Null for anything
 * else.
 */
export async function findPack(data: string): Promise<string | null> {
  const named = publicUrl(data);
  const place = path.basename(named) === indexName ? named.slice(0, -indexName.length - 1) : named;
  if (isUrl(data)) return place.replace(/\/+$/, '');
  const index = await stat(path.join(place, indexName)).catch(() => null);
  return index?.isFile() ? path.resolve(place) : null;
}

type PackOptions = Pick<
  IndexOptions,
  'labelPattern' | 'labelsFile' | 'validDir' | 'split' | 'signal' | 'onProgress'
>;

/**
 * The images of a pack, in the order of the data set that was packed, so that runs on either are the same.
 * They were decoded when they were packed. Throws RondoError for an index or shards that are not whole, and for
 * options that are only for packing.
 */
export async function indexPack(place: string, o: PackOptions): Promise<IndexedImages> {
  refuseOptions(place, o);
  const store = openStore(place);
  try {
    const index = await readIndexOf(store, o.signal);
    const { classes, shards, validation } = index.header;
    if (!isUrl(place)) await requireShards(store, shards, o);
    return {
      root: place,
      validRoot: place,
      shards: shards.map(({ name, sha256 }) => ({ name, digest: sha256 })),
      classes,
      images: listImages(index),
      validation:
        validation === null || (o.split ?? 'auto') !== 'auto'
          ? null
          : { source: validation, otherwise: drawInstead },
      quarantined: [],
      remarks: [],
    };
  } finally {
    await store.close();
  }
}

function refuseOptions(place: string, { labelPattern, labelsFile, validDir }: PackOptions): void {
  const given = [
    ...(labelPattern === undefined ? [] : ['--label-pattern']),
    ...(labelsFile === undefined ? [] : ['--labels']),
    ...(validDir === undefined ? [] : ['--valid']),
  ];
  if (given.length === 0) return;
  throw new RondoError(
    'invalid-argument',
    `${given.join(' and ')} cannot be given with packed images: ${place} holds their labels and sets`,
    { remedy: 'leave the option out here, and give it to `coordinator pack`' },
  );
}

async function readIndexOf(store: Store, signal: AbortSignal): Promise<ShardIndex> {
  const { place } = store;
  if (!isUrl(place)) return readIndex(path.join(place, indexName), { withPaths: true });
  return decodeIndex(await store.read(indexName, null, signal), store.nameOf(indexName));
}

/** Before training begins rather than in the middle of it. */
async function requireShards(
  store: Store,
  shards: IndexHeader['shards'],
  { signal, onProgress }: PackOptions,
): Promise<void> {
  for (const [done, { name, bytes }] of shards.entries()) {
    signal.throwIfAborted();
    onProgress({ phase: 'listing', done, total: shards.length });
    const found = await store.sizeOf(name, signal);
    if (found === bytes) continue;
    throw new RondoError('data-loss', `${store.nameOf(name)} has ${found} bytes, not ${bytes}`, {
      remedy: 'copy the shard anew, or pack the images anew',
    });
  }
}

function listImages({ header, columns, paths }: ShardIndex): IndexedImage[] {
  const { position, block, size, label, width, height, digest } = columns;
  const names = decodePaths(paths!);
  const digests = Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength);
  const images = new Array<IndexedImage>(names.length);
  let at = 0;
  for (const [shard, { samples, set }] of header.shards.entries()) {
    for (const end = at + samples; at < end; at += 1) {
      images[position[at]!] = {
        path: names[at]!,
        label: label[at]!,
        width: width[at]!,
        height: height[at]!,
        digest: digests.toString('hex', at * 32, (at + 1) * 32),
        range: { shard, block: block[at]!, bytes: size[at]! },
        set: set ?? undefined,
      };
    }
  }
  return images;
}
