import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm, stat, truncate } from 'node:fs/promises';
import { abortReason, sleep } from '../deadline.js';
import { createDeferred, type Deferred } from '../deferred.js';
import { RondoError } from '../errors.js';
import { tryLock } from '../file-lock.js';
import { type ContentCache, lockOf, makePrivate, partOf } from './content-cache.js';
import type { RemoteStore } from './store.js';

/** How often it is looked after what another process fetches. */
const pollMs = 50;
/** So much of a shard may wait to be written, before no more of it is received. */
const mostUnwrittenBytes = 8 << 20;

/** A file that holds samples. */
export interface StoredShard {
  readonly name: string;
  /** SHA-256 of the whole file, in hex. */
  readonly digest: string;
}

/** A shard on its way into the cache, fetched by this process or by another one of the machine. */
export interface ShardArrival {
  /** Whether its bytes up to `end` lie in the part. */
  has(end: number): boolean;
  /** Resolves when it has them, or nothing more comes. Rejects as `ended` does, and when the signal comes. */
  until(end: number, signal?: AbortSignal): Promise<void>;
  /** From now on it has nothing before all of it is found to be right. */
  doubt(): void;
  /** All of it is in the cache, under its name. Rejects as `RemoteStore.fetch` does. */
  readonly ended: Promise<void>;
}

export interface ShardArrivalOptions {
  /** Of the cache. */
  readonly folder: string;
  /** What the cache has under its name may be something else. */
  readonly isDoubted: boolean;
  readonly signal: AbortSignal;
}

/**
 * Fetches a shard, unless it is in the cache, going on with what an earlier process left of it; waits where another
 * process does. The lock ends with its holder.
 */
export function fetchShard(
  store: RemoteStore,
  shard: StoredShard,
  cache: ContentCache,
  o: ShardArrivalOptions,
): ShardArrival {
  const waiting = new Set<Deferred<void> & { readonly end: number }>();
  let { isDoubted } = o;
  let arrived = 0;
  const onPart = (bytes: number) => {
    arrived = bytes;
    if (isDoubted) return;
    for (const waiter of waiting) if (waiter.end <= bytes) waiter.resolve();
  };
  const has = (end: number) => !isDoubted && end <= arrived;
  const ended = bringShard(store, shard, cache, o, onPart);
  ended.catch(() => {});
  return {
    has,
    async until(end, signal) {
      if (has(end)) return;
      const waiter = { end, ...createDeferred<void>() };
      const abort = () => waiter.reject(abortReason(signal, `reading ${store.nameOf(shard.name)}`));
      if (signal?.aborted) abort();
      signal?.addEventListener('abort', abort, { once: true });
      waiting.add(waiter);
      ended.then(waiter.resolve, waiter.reject);
      try {
        await waiter.promise;
      } finally {
        waiting.delete(waiter);
        signal?.removeEventListener('abort', abort);
      }
    },
    doubt() {
      isDoubted = true;
    },
    ended,
  };
}

async function bringShard(
  store: RemoteStore,
  shard: StoredShard,
  cache: ContentCache,
  { folder, isDoubted, signal }: ShardArrivalOptions,
  onPart: (bytes: number) => void,
): Promise<void> {
  const file = cache.pathOf(shard.digest);
  makePrivate(folder, shard.digest);
  for (;;) {
    if (!isDoubted && (await sizeOf(file)) !== null) return;
    const unlock = tryLock(lockOf(file));
    if (unlock !== null) {
      try {
        if ((await sizeOf(file)) !== null) {
          if (!isDoubted || (await hashFile(file)).digest('hex') === shard.digest) return;
          await cache.drop(shard.digest);
        }
        return await fetchLocked(store, shard, file, { cache, signal, onPart });
      } finally {
        unlock();
      }
    }
    onPart((await sizeOf(partOf(file))) ?? 0);
    await sleep(pollMs, signal);
  }
}

interface FetchOptions {
  readonly signal: AbortSignal;
  /** Told how much of the part can be read. */
  readonly onPart: (bytes: number) => void;
}

async function fetchLocked(
  store: RemoteStore,
  shard: StoredShard,
  file: string,
  { cache, ...o }: FetchOptions & { readonly cache: ContentCache },
): Promise<void> {
  const part = partOf(file);
  for (const isLast of [false, true]) {
    const { digest, bytes } = await fillPart(store, shard.name, part, o);
    if (digest === shard.digest) {
      await rename(part, file);
      cache.kept(shard.digest, bytes);
      return;
    }
    o.onPart(0);
    // The same file, for others may have it open.
    await truncate(part);
    if (isLast) await rm(part, { force: true });
  }
  throw new RondoError(
    'data-loss',
    `${store.nameOf(shard.name)} is not what its index says, though it was fetched twice`,
    { remedy: 'upload the shard anew, or pack the images anew' },
  );
}

/** Resolves to the SHA-256 and the length of what the part then holds. */
async function fillPart(
  store: RemoteStore,
  name: string,
  part: string,
  { signal, onPart }: FetchOptions,
): Promise<{ readonly digest: string; readonly bytes: number }> {
  const handle = await open(part, 'a', 0o600);
  try {
    let hash = await hashFile(part);
    let bytes = (await handle.stat()).size;
    const from = bytes;
    onPart(bytes);
    const appender = openAppender(handle, (count) => {
      bytes += count;
      onPart(bytes);
    });
    const sink = {
      write(received: Buffer) {
        hash.update(received);
        return appender.write(received);
      },
      async restart() {
        await appender.flush();
        bytes = 0;
        onPart(bytes);
        hash = createHash('sha256');
        await handle.truncate(0);
      },
    };
    // What has come is kept also when no more does.
    await store.fetch(name, sink, { from, signal }).finally(appender.flush);
    return { digest: hash.digest('hex'), bytes };
  } finally {
    await handle.close();
  }
}

/**
 * Writes to a file's end what comes, all that has come by then at a time: each write waits for its turn among the
 * images that are decoded, so that one for each piece would hold up who receives them.
 */
function openAppender(handle: FileHandle, onWritten: (bytes: number) => void) {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let writing: Promise<void> = Promise.resolve();
  let isWriting = false;
  const writePending = async () => {
    while (pending.length > 0) {
      const bytes = Buffer.concat(pending);
      [pending, pendingBytes] = [[], 0];
      for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten;
      onWritten(bytes.length);
    }
    isWriting = false;
  };
  return {
    async write(bytes: Buffer): Promise<void> {
      pending.push(bytes);
      pendingBytes += bytes.length;
      if (!isWriting) {
        isWriting = true;
        writing = writePending();
        writing.catch(() => {});
      }
      if (pendingBytes > mostUnwrittenBytes) await writing;
    },
    flush: () => writing,
  };
}

async function sizeOf(file: string): Promise<number | null> {
  return stat(file).then(
    ({ size }) => size,
    () => null,
  );
}

async function hashFile(file: string): Promise<Hash> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(file)) hash.update(bytes as Buffer);
  return hash;
}
