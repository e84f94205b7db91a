import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { abortReason, sleep } from '../deadline.js';
import { RondoError } from '../errors.js';
import { tryLock } from '../file-lock.js';
import { type CacheOptions, type ContentCache, makePrivate, touch } from './content-cache.js';
import { openHandles } from './file-handles.js';
import type { ByteRange, RemoteStore } from './store.js';

/** How often it is looked after what another process fetches. */
const pollMs = 50;

/** A file that holds samples. */
export interface StoredShard {
  readonly name: string;
  /** SHA-256 of the whole file, in hex. */
  readonly digest: string;
}

/** Shards that are fetched whole, once for all processes of a machine, into the cache. */
export interface WholeShards {
  /** A part of a shard, as soon as it has arrived. Rejects as `RemoteStore.fetch` does. */
  read(shard: StoredShard, range: ByteRange, signal?: AbortSignal): Promise<Buffer>;
  /**
   * Shards that will be read after those that are read now: fetched one at a time while nobody waits for
   * another, if the cache has room for as many again. Takes the place of what was expected before. What fails
   * is left to those that read it.
   */
  expect(shards: readonly StoredShard[]): void;
  /** Has a shard fetched anew. */
  drop(shard: StoredShard): Promise<void>;
  close(): Promise<void>;
}

export function openWholeShards(
  store: RemoteStore,
  cache: ContentCache,
  { folder, maxBytes }: Pick<CacheOptions, 'folder' | 'maxBytes'>,
): WholeShards {
  const handles = openHandles();
  const ending = new AbortController();
  const fetching = new Map<string, Promise<void>>();
  let expected: readonly StoredShard[] = [];
  let atATime = 0;
  /** Of the shards read so far, the largest. */
  let largestBytes = 0;

  const fetch = (shard: StoredShard): Promise<void> => {
    const known = fetching.get(shard.digest);
    if (known !== undefined) return known;
    const fetched = fetchOnce(store, shard, cache, folder, ending.signal).finally(() =>
      fetching.delete(shard.digest),
    );
    fetching.set(shard.digest, fetched);
    fetched.catch(() => {});
    return fetched;
  };
  /** Null while the part has not arrived. */
  const readArrived = async (shard: StoredShard, range: ByteRange): Promise<Buffer | null> => {
    const file = cache.pathOf(shard.digest);
    const found = await stat(file).catch(() => null);
    if (found !== null) {
      largestBytes = Math.max(largestBytes, found.size);
      await touch(file).catch(() => {});
      return handles.read(file, range);
    }
    const begun = await stat(partOf(file)).catch(() => null);
    if (begun === null || begun.size < range.end) return null;
    // It has its own name as soon as it is whole.
    return handles.read(partOf(file), range).catch(() => null);
  };
  /** Begins with the next one that is expected, unless something is fetched already. */
  const fetchAhead = () => {
    const [next, ...others] = expected;
    if (next === undefined || fetching.size > 0 || ending.signal.aborted) return;
    // Until the first is whole nobody knows how large they are.
    if (largestBytes === 0 || 2 * atATime * largestBytes > maxBytes) return;
    expected = others;
    fetch(next).then(fetchAhead, () => {
      expected = [];
    });
  };
  return {
    expect(shards) {
      expected = shards;
      atATime = Math.max(atATime, shards.length);
      fetchAhead();
    },
    async read(shard, range, signal) {
      for (;;) {
        if (signal?.aborted) throw abortReason(signal, `reading ${store.nameOf(shard.name)}`);
        const bytes = await readArrived(shard, range).catch((error: NodeJS.ErrnoException) => {
          // Evicted between two looks at it, or cut off.
          if (error.code === 'ENOENT' || error instanceof RondoError) return null;
          throw error;
        });
        fetchAhead();
        if (bytes !== null) return bytes;
        const fetched = fetch(shard);
        await Promise.race([fetched, sleep(pollMs, signal)]);
      }
    },
    async drop(shard) {
      await cache.drop(shard.digest);
    },
    async close() {
      ending.abort(new RondoError('cancelled', 'the source was closed'));
      await Promise.allSettled(fetching.values());
      await handles.close();
    },
  };
}

function partOf(file: string): string {
  return `${file}.part`;
}

/**
 * Fetches a shard, going on with what an earlier process left of it; waits where another process does. The lock
 * ends with its holder.
 */
async function fetchOnce(
  store: RemoteStore,
  shard: StoredShard,
  cache: ContentCache,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  const file = cache.pathOf(shard.digest);
  makePrivate(folder, shard.digest);
  for (;;) {
    const unlock = tryLock(`${file}.lock`);
    try {
      if (await stat(file).catch(() => null)) return;
      if (unlock !== null) return await fetchLocked(store, shard, file, cache, signal);
    } finally {
      unlock?.();
    }
    await sleep(pollMs, signal);
  }
}

async function fetchLocked(
  store: RemoteStore,
  shard: StoredShard,
  file: string,
  cache: ContentCache,
  signal: AbortSignal,
): Promise<void> {
  const part = partOf(file);
  for (const isLast of [false, true]) {
    const digest = await fillPart(store, shard.name, part, signal);
    if (digest === shard.digest) {
      const { size } = await stat(part);
      await rename(part, file);
      cache.kept(shard.digest, size);
      return;
    }
    await rm(part, { force: true });
    if (isLast) break;
  }
  throw new RondoError(
    'data-loss',
    `${store.nameOf(shard.name)} is not what its index says, though it was fetched twice`,
    { remedy: 'upload the shard anew, or pack the images anew' },
  );
}

/** Resolves to the SHA-256 of what the part then holds. */
async function fillPart(
  store: RemoteStore,
  name: string,
  part: string,
  signal: AbortSignal,
): Promise<string> {
  const handle = await open(part, 'a', 0o600);
  try {
    let hash = await hashFile(part);
    const { size: from } = await handle.stat();
    const sink = {
      async write(bytes: Buffer) {
        hash.update(bytes);
        await writeAll(handle, bytes);
      },
      async restart() {
        hash = createHash('sha256');
        await handle.truncate(0);
      },
    };
    await store.fetch(name, sink, { from, signal });
    return hash.digest('hex');
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten;
}

async function hashFile(file: string): Promise<Hash> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(file)) hash.update(bytes as Buffer);
  return hash;
}
