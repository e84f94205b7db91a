import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { RondoError } from '../errors.js';
import { diskCacheGib, installation } from '../installation.js';
import { type CacheOptions, openContentCache } from './content-cache.js';
import { RangesIgnored } from './http-reader.js';
import { openStore } from './open-store.js';
import type { StoredShard } from './shard-arrival.js';
import { isRemote, type RemoteStore, type StoreOptions } from './store.js';
import { type ExpectedShards, openWholeShards, type WholeShards } from './whole-shards.js';

/** A tar file's unit: every file in it begins at a multiple of this. */
export const blockBytes = 512;

/** What says where a sample's bytes are: a file of their own, or a part of a shard. */
export interface StoredSample {
  readonly path: string;
  /** SHA-256 of its bytes, in hex. */
  readonly digest: string;
  readonly range?: { readonly shard: number; readonly block: number; readonly bytes: number } | undefined;
}

/** Reads samples of one place, whatever it is. */
export interface SampleReader {
  /**
   * A sample's bytes, which are those of its digest: failed-precondition, naming it, when they are not. Rejects
   * as `Store.read` does.
   */
  read(sample: StoredSample, signal?: AbortSignal): Promise<Buffer>;
  /**
   * Where shards are fetched whole, these (positions) are, and those that come next meanwhile, if the cache has room
   * for both. Others are read in parts, sample by sample.
   */
  expect(shards: ExpectedShards<number>): void;
  /** Where a sample is, for people. */
  nameOf(sample: StoredSample): string;
  close(): Promise<void>;
}

export interface SampleReaderOptions extends StoreOptions {
  /** Keeps what is fetched from a URL; in Rondo's cache folder by default, and its bound. */
  readonly cache?: Pick<CacheOptions, 'folder' | 'maxBytes'>;
  /** Fetch shards whole that are expected: they are read in an order that uses them up. */
  readonly wholeShards?: boolean;
}

/**
 * @param root a folder or a URL
 * @param shards the files there that hold the samples with a `range`
 */
export function openSampleReader(
  root: string,
  shards: readonly StoredShard[],
  o: SampleReaderOptions = {},
): SampleReader {
  const store = openStore(root, o);
  const fetcher = isRemote(store) ? openFetcher(store, o) : null;
  const shardOf = ({ path, range }: StoredSample): StoredShard | null => {
    if (range === undefined) return null;
    const shard = shards[range.shard];
    if (shard !== undefined) return shard;
    throw new RondoError('data-loss', `${path} is in shard ${range.shard}, and there are ${shards.length}`);
  };
  const nameOf = (sample: StoredSample) => {
    const shard = shardOf(sample);
    return shard === null ? store.nameOf(sample.path) : `${sample.path} in ${store.nameOf(shard.name)}`;
  };
  return {
    nameOf,
    expect({ begun, now, next }) {
      const known = (numbers: readonly number[]) => numbers.flatMap((number) => shards[number] ?? []);
      fetcher?.expect({ begun: known(begun), now: known(now), next: known(next) });
    },
    async read(sample, signal) {
      const { path, range, digest } = sample;
      const shard = shardOf(sample);
      const start = (range?.block ?? 0) * blockBytes;
      const place = {
        ...{ file: shard?.name ?? path, shard, digest },
        range: range === undefined ? null : { start, end: start + range.bytes },
      };
      const { bytes, isRight } =
        fetcher === null
          ? checked(await store.read(place.file, place.range, signal), digest)
          : await fetcher.read(place, signal);
      if (isRight) return bytes;
      throw new RondoError(
        'failed-precondition',
        `image ${nameOf(sample)} is not what it was when the run began`,
        {
          remedy:
            'restore the file and resume the run, or start a new one; images must not change while a run reads them',
        },
      );
    },
    async close() {
      await fetcher?.close();
      await store.close();
    },
  };
}

interface Place {
  readonly file: string;
  readonly shard: StoredShard | null;
  readonly range: { readonly start: number; readonly end: number } | null;
  readonly digest: string;
}

/** What was read, and whether it is what its digest stands for. */
interface Checked {
  readonly bytes: Buffer;
  readonly isRight: boolean;
}

interface Fetcher {
  /** What the cache has, else the server; once more when it is not what it should be. */
  read(place: Place, signal?: AbortSignal): Promise<Checked>;
  expect(shards: ExpectedShards<StoredShard>): void;
  close(): Promise<void>;
}

function openFetcher(store: RemoteStore, o: SampleReaderOptions): Fetcher {
  const options = o.cache ?? defaultCache();
  const cache = openContentCache({ ...options, warn: o.warn });
  let whole: WholeShards | null = null;
  const openWhole = () => {
    whole ??= openWholeShards(store, cache, options);
    return whole;
  };
  let ignoresRanges = false;
  const readWhole = (place: Place, shard: StoredShard, signal?: AbortSignal): Promise<Buffer> => {
    if (options.maxBytes === 0) {
      throw new RondoError(
        'failed-precondition',
        `${store.place} gives whole files only, and without a cache each would be fetched for each image`,
        { remedy: 'give the cache room (--cache-gib, RONDO_CACHE_GIB), or use a server that knows ranges' },
      );
    }
    return openWhole().read(shard, place.range!, signal);
  };
  const readPart = async (place: Place, signal?: AbortSignal): Promise<Buffer> => {
    const { shard } = place;
    if (shard !== null && ignoresRanges) return readWhole(place, shard, signal);
    try {
      return await store.read(place.file, place.range, signal);
    } catch (error) {
      if (!(error instanceof RangesIgnored) || shard === null) throw error;
      ignoresRanges = true;
      return readWhole(place, shard, signal);
    }
  };
  const isByShards = o.wholeShards === true && options.maxBytes > 0;
  return {
    expect(shards) {
      if (isByShards) openWhole().expect(shards);
    },
    async read(place, signal) {
      const { digest, shard, range } = place;
      const here = isByShards ? openWhole() : whole;
      const inShard = shard && here && (await here.readHere(shard, range!));
      if (inShard !== null) {
        const found = checked(inShard, digest);
        if (found.isRight) return found;
      }
      const held = await cache.read(digest);
      if (held !== null) {
        const found = checked(held, digest);
        if (found.isRight) return found;
        await cache.drop(digest);
      }
      if (shard !== null && isByShards && inShard === null && (await openWhole().isWhole(shard))) {
        const found = checked(await readWhole(place, shard, signal), digest);
        if (found.isRight) return found;
      }
      let found = checked(await readPart(place, signal), digest);
      if (!found.isRight) {
        if (shard !== null && ignoresRanges) whole?.doubt(shard);
        found = checked(await readPart(place, signal), digest);
      }
      if (!ignoresRanges && found.isRight) await cache.keep(digest, found.bytes);
      return found;
    },
    async close() {
      await whole?.close();
      await cache.close();
    },
  };
}

/** Of programs that are not told where and how much. */
function defaultCache(): Pick<CacheOptions, 'folder' | 'maxBytes'> {
  return {
    folder: join(installation().cacheDir, objectsFolder),
    maxBytes: diskCacheGib(process.env) * 2 ** 30,
  };
}

/** In the cache folder. */
export const objectsFolder = 'objects';

function checked(bytes: Buffer, digest: string): Checked {
  return { bytes, isRight: createHash('sha256').update(bytes).digest('hex') === digest };
}
