import { access } from 'node:fs/promises';
import { abortReason } from '../deadline.js';
import { RondoError } from '../errors.js';
import { type CacheOptions, type ContentCache, partOf, touch, touchMs } from './content-cache.js';
import { openHandles } from './file-handles.js';
import { fetchShard, type ShardArrival, type StoredShard } from './shard-arrival.js';
import type { ByteRange, RemoteStore } from './store.js';

/** What is read from now on, by shards. Takes the place of what was expected before. */
export interface ExpectedShards<Shard> {
  /** Of which something was read before, though not here: what is left of them is read in parts. */
  readonly begun: readonly Shard[];
  /** Of windows that begin. */
  readonly now: readonly Shard[];
  /** Of windows that come next, the first to be read first. */
  readonly next: readonly Shard[];
}

/** Shards that are fetched whole, once for all processes of a machine, into the cache. */
export interface WholeShards {
  /** A part of a shard, as soon as it has arrived. Rejects as `RemoteStore.fetch` does. */
  read(shard: StoredShard, range: ByteRange, signal?: AbortSignal): Promise<Buffer>;
  /** A part of a shard; null where it is not here, which changes nothing. */
  readHere(shard: StoredShard, range: ByteRange): Promise<Buffer | null>;
  /**
   * Shards that are fetched whole: those that begin, when they are read; those that come next one at a time while
   * nobody waits for another, if the cache has room for as many again. What fails is left to those that read it.
   * One that was begun stays in parts, so that nothing of it is fetched twice.
   */
  expect(shards: ExpectedShards<StoredShard>): void;
  /** Whether a shard is to be fetched whole: it was expected, or a part of it has been left here. */
  isWhole(shard: StoredShard): Promise<boolean>;
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
  /** By digest: whether it is fetched whole, of those that it was asked or said of. */
  const whole = new Map<string, boolean | Promise<boolean>>();
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
  const isWhole = async ({ digest }: StoredShard): Promise<boolean> => {
    const known = whole.get(digest) ?? isThere(partOf(cache.pathOf(digest)));
    whole.set(digest, known);
    return known;
  };
  const doubt = (shard: StoredShard) => fetch(shard, true).doubt();
  return {
    expect({ begun, now, next }) {
      for (const shard of begun) void isWhole(shard);
      for (const { digest } of [...now, ...next]) if (!whole.has(digest)) whole.set(digest, true);
      expected = next.filter(({ digest }) => whole.get(digest) === true);
      atATime = Math.max(atATime, next.length);
      fetchAhead();
    },
    isWhole,
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

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
