import { abortReason } from '../deadline.js';
import { RondoError } from '../errors.js';
import { type CacheOptions, type ContentCache, touch, touchMs } from './content-cache.js';
import { openHandles } from './file-handles.js';
import { fetchShard, partOf, type ShardArrival, type StoredShard } from './shard-arrival.js';
import type { ByteRange, RemoteStore } from './store.js';

/** Shards that are fetched whole, once for all processes of a machine, into the cache. */
export interface WholeShards {
  /** A part of a shard, as soon as it has arrived. Rejects as `RemoteStore.fetch` does. */
  read(shard: StoredShard, range: ByteRange, signal?: AbortSignal): Promise<Buffer>;
  /** A part of a shard; null where it is not here, which changes nothing. */
  readHere(shard: StoredShard, range: ByteRange): Promise<Buffer | null>;
  /**
   * Shards that will be read after those that are read now: fetched one at a time while nobody waits for
   * another, if the cache has room for as many again. Takes the place of what was expected before. What fails
   * is left to those that read it.
   */
  expect(shards: readonly StoredShard[]): void;
  /** What was read of it is wrong: nothing more is, before all of it is found to be right or was fetched anew. */
  doubt(shard: StoredShard): void;
  close(): Promise<void>;
}

export function openWholeShards(
  store: RemoteStore,
  cache: ContentCache,
  { folder, maxBytes }: Pick<CacheOptions, 'folder' | 'maxBytes'>,
): WholeShards {
  const handles = openHandles();
  const ending = new AbortController();
  const arriving = new Map<string, ShardArrival>();
  /** When the use of a shard in the cache was noted last. */
  const noted = new Map<string, number>();
  let expected: readonly StoredShard[] = [];
  let atATime = 0;
  /** Of the shards read so far, the largest. */
  let largestBytes = 0;

  const fetch = (shard: StoredShard, isDoubted = false): ShardArrival => {
    const { digest } = shard;
    const known = arriving.get(digest);
    if (known !== undefined) return known;
    const arrival = fetchShard(store, shard, cache, { folder, isDoubted, signal: ending.signal });
    arriving.set(digest, arrival);
    const end = () => {
      arriving.delete(digest);
      // There may be another file of either name, and room is made for what came.
      handles.forget(cache.pathOf(digest));
      handles.forget(partOf(cache.pathOf(digest)));
      void handles.forgetRemoved();
    };
    arrival.ended.then(end, end);
    return arrival;
  };
  /** That a shard is used, for all who share the cache. */
  const note = async (digest: string): Promise<void> => {
    const now = Date.now();
    if (now - (noted.get(digest) ?? 0) < touchMs) return;
    noted.set(digest, now);
    try {
      largestBytes = Math.max(largestBytes, await touch(cache.pathOf(digest)));
    } catch {
      // Others have removed it.
      noted.delete(digest);
      handles.forget(cache.pathOf(digest));
    }
  };
  /** Begins with the next one that is expected, unless something is fetched already. */
  const fetchAhead = () => {
    const [next, ...others] = expected;
    if (next === undefined || arriving.size > 0 || ending.signal.aborted) return;
    // Until the first is whole nobody knows how large they are.
    if (largestBytes === 0 || 2 * atATime * largestBytes > maxBytes) return;
    expected = others;
    fetch(next).ended.then(fetchAhead, () => {
      expected = [];
    });
  };
  const readHere = async ({ digest }: StoredShard, range: ByteRange): Promise<Buffer | null> => {
    const arrival = arriving.get(digest);
    if (arrival?.has(range.end) === false) return null;
    const file = cache.pathOf(digest);
    if (arrival === undefined) await note(digest);
    fetchAhead();
    try {
      return await handles.read(arrival === undefined ? file : partOf(file), range);
    } catch (error) {
      // It has another name as soon as it is whole; or it was removed.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  };
  const doubt = (shard: StoredShard) => fetch(shard, true).doubt();
  return {
    expect(shards) {
      expected = shards;
      atATime = Math.max(atATime, shards.length);
      fetchAhead();
    },
    readHere: (shard, range) =>
      readHere(shard, range).catch((error: unknown) => {
        if (error instanceof RondoError) return null;
        throw error;
      }),
    async read(shard, range, signal) {
      for (let isSure = false; ; ) {
        if (signal?.aborted) throw abortReason(signal, `reading ${store.nameOf(shard.name)}`);
        const bytes = await readHere(shard, range).catch((error: unknown) => {
          // It is cut off.
          if (!(error instanceof RondoError) || isSure) throw error;
          isSure = true;
          doubt(shard);
          return null;
        });
        if (bytes !== null) return bytes;
        await fetch(shard).until(range.end, signal);
      }
    },
    doubt,
    async close() {
      ending.abort(new RondoError('cancelled', 'the source was closed'));
      await Promise.allSettled([...arriving.values()].map(({ ended }) => ended));
      await handles.close();
    },
  };
}
