import { stat } from 'node:fs/promises';
import path from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { installation } from '../../runtime/installation.js';
import { openStore } from '../../runtime/storage/open-store.js';
import { SampleColumns } from '../../runtime/storage/sample-columns.js';
import { isUrl, type Store } from '../../runtime/storage/store.js';
import { publicUrl } from '../../runtime/storage/url-access.js';
import { requireMostUsable } from './check-dataset.js';
import { type ForeignIndex, type ForeignShards, findForeignShards, indexForeign } from './foreign-shards.js';
import type { IndexedImages, IndexOptions } from './indexed-images.js';
import type { SetName } from './set-column.js';
import {
  decodeIndex,
  type IndexHeader,
  indexName,
  openPaths,
  readIndex,
  type ShardIndex,
} from './shard-index.js';
import { drawInstead } from './split.js';

/** Where packed images are: a folder or URL, and the tars there where no index names them. */
export interface Pack {
  readonly place: string;
  readonly foreign: ForeignShards | null;
}

/**
 * What holds packed images: a URL; a folder with an index, which may be named instead; tar files, by a name, a
 * pattern or a folder. Null for anything else.
 */
export async function findPack(data: string): Promise<Pack | null> {
  const named = publicUrl(data);
  const foreign = await findForeignShards(named);
  if (foreign !== null) return { place: foreign.root, foreign };
  const place = path.basename(named) === indexName ? named.slice(0, -indexName.length - 1) : named;
  if (isUrl(data)) return { place: place.replace(/\/+$/, ''), foreign };
  const index = await stat(path.join(place, indexName)).catch(() => null);
  return index?.isFile() ? { place: path.resolve(place), foreign } : null;
}

type PackOptions = Pick<
  IndexOptions,
  | 'labelPattern'
  | 'labelsFile'
  | 'validDir'
  | 'split'
  | 'skipBroken'
  | 'onQuarantined'
  | 'signal'
  | 'onProgress'
> &
  Partial<Pick<IndexOptions, 'cacheDir'>>;

/**
 * The images of a pack, in the order of the data set that was packed, so that runs on either are the same.
 * They were decoded when they were packed, or when a foreign tar was indexed. Throws RondoError for an index or
 * shards that are not whole, and for options that are only for packing.
 */
export async function indexPack({ place, foreign }: Pack, o: PackOptions): Promise<IndexedImages> {
  refuseOptions(place, o);
  const { header, quarantined, ...index } = await readIndexOf({ place, foreign }, o);
  const { classes, shards, validation } = header;
  const { images, sets } = listImages({ ...index, header });
  if (foreign !== null) {
    o.onQuarantined?.(quarantined);
    if (!o.skipBroken) requireMostUsable(quarantined, images.length + quarantined.length, place);
  }
  return {
    root: place,
    validRoot: place,
    shards: shards.map(({ name, sha256 }) => ({ name, digest: sha256 })),
    classes,
    images,
    sets,
    validation:
      validation === null || (o.split ?? 'auto') !== 'auto'
        ? null
        : { source: validation, otherwise: drawInstead },
    quarantined,
    remarks: [],
  };
}

async function readIndexOf({ place, foreign }: Pack, o: PackOptions): Promise<ForeignIndex> {
  if (foreign !== null) return indexForeign(foreign, { cacheDir: installation().cacheDir, ...o });
  const store = openStore(place);
  try {
    if (isUrl(place)) {
      const bytes = await store.read(indexName, null, o.signal).catch((error: unknown) => {
        throw nameTars(place, error);
      });
      return { ...(await decodeIndex(bytes, store.nameOf(indexName))), quarantined: [] };
    }
    const index = await readIndex(path.join(place, indexName), { withPaths: true });
    await requireShards(store, index.header.shards, o);
    return { ...index, quarantined: [] };
  } finally {
    await store.close();
  }
}

/** A server does not list its files: of tars without an index the names must be given. */
function nameTars(place: string, thrown: unknown): RondoError {
  const { code, message, remedy, cause } = RondoError.from(thrown);
  if (code !== 'not-found' || message.includes('bucket ')) return RondoError.from(thrown);
  return new RondoError(code, message, {
    remedy: `check the address; tars without an index are named: ${place}/train-{000000..000146}.tar`,
    cause: cause ?? remedy,
  });
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

/** In the order of the data set that was packed. */
function listImages({ header, columns, paths }: ShardIndex): Pick<IndexedImages, 'images' | 'sets'> {
  const { position, block, size, label, width, height, digest } = columns;
  const pathAt = openPaths(paths!);
  const digests = Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength);
  const sets = new Array<SetName | undefined>(position.length);
  const shards = new Uint32Array(position.length);
  /** By position, where in the index it is. */
  const places = new Uint32Array(position.length);
  let at = 0;
  for (const [shard, { samples, set }] of header.shards.entries()) {
    for (const end = at + samples; at < end; at += 1) {
      shards[at] = shard;
      places[position[at]!] = at;
      sets[position[at]!] = set ?? undefined;
    }
  }
  const images = new SampleColumns(position.length);
  for (const at of places) {
    images.append({
      path: pathAt(at),
      label: label[at]!,
      width: width[at]!,
      height: height[at]!,
      digest: digests.toString('hex', at * 32, (at + 1) * 32),
      range: { shard: shards[at]!, block: block[at]!, bytes: size[at]! },
    });
  }
  return { images: images.finish(), sets };
}
