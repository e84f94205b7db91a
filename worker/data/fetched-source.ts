import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import path from 'node:path';
import type { Dataset } from '../../proto/dataset.js';
import type { SampleChunk } from '../../proto/gen/coordinator.js';
import { sleep } from '../../runtime/deadline.js';
import { createDeferred, type Deferred } from '../../runtime/deferred.js';
import { RondoError } from '../../runtime/errors.js';
import type { Source, Split } from './source.js';

/** Asks the coordinator for samples: their pieces, in the order of the ids. */
export type FetchSamples = (
  split: Split,
  ids: readonly number[],
  signal: AbortSignal,
) => AsyncIterable<SampleChunk>;

/** Of one call. */
const mostIds = 64;
const retryMs = 1_000;

interface Wanted {
  readonly id: number;
  readonly bytes: Deferred<Uint8Array>;
}

/**
 * Samples whose files the coordinator has. Those that are asked for together travel together; what arrives is
 * checked by its digest.
 *
 * @param absenceMs for so long the coordinator may be away.
 */
export function openFetchedSource(dataset: Dataset, fetch: FetchSamples, absenceMs: number): Source {
  const closing = new AbortController();
  // Each call that is under way has one, and they may be many.
  setMaxListeners(0, closing.signal);
  const waiting: Record<Split, Wanted[]> = { train: [], valid: [] };
  const name = (split: Split, id: number) => `${dataset[split].at(id)?.path ?? id}, from the coordinator`;

  /** Takes from `wanted` what has arrived. */
  const receive = async (split: Split, wanted: Wanted[]): Promise<void> => {
    let parts: Uint8Array[] = [];
    const ids = wanted.map(({ id }) => id);
    for await (const { data, last } of fetch(split, ids, closing.signal)) {
      parts.push(data);
      if (!last) continue;
      const next = wanted[0];
      if (next === undefined) throw new RondoError('data-loss', 'more samples came than were asked for');
      const { digest } = dataset[split].at(next.id)!;
      next.bytes.resolve(requireDigest(Buffer.concat(parts), digest, name(split, next.id)));
      wanted.shift();
      parts = [];
    }
    if (wanted.length > 0) throw new RondoError('unavailable', 'the coordinator ended amid its samples');
  };
  const collect = async (split: Split, wanted: Wanted[]): Promise<void> => {
    for (let waitedMs = 0; ; waitedMs += retryMs) {
      try {
        return await receive(split, wanted);
      } catch (thrown) {
        const error = RondoError.from(thrown);
        if (error.code !== 'unavailable' || waitedMs >= absenceMs || closing.signal.aborted) {
          for (const { bytes } of wanted) bytes.reject(error);
          return;
        }
      }
      await sleep(retryMs, closing.signal).catch(() => {});
    }
  };
  const flush = (split: Split) => {
    const all = waiting[split];
    waiting[split] = [];
    for (let start = 0; start < all.length; start += mostIds) {
      void collect(split, all.slice(start, start + mostIds));
    }
  };

  return {
    name,
    read(split, id, signal) {
      if (closing.signal.aborted) return Promise.reject(closing.signal.reason);
      const wanted = { id, bytes: createDeferred<Uint8Array>() };
      waiting[split].push(wanted);
      // What the loader asks for in one go is one call.
      if (waiting[split].length === 1) setImmediate(() => flush(split));
      const abort = () => wanted.bytes.reject(signal?.reason);
      signal?.addEventListener('abort', abort, { once: true });
      return wanted.bytes.promise.finally(() => signal?.removeEventListener('abort', abort));
    },
    async close() {
      closing.abort(new RondoError('cancelled', 'the loader was closed'));
    },
  };
}

function requireDigest(bytes: Uint8Array, digest: string, name: string): Uint8Array {
  if (createHash('sha256').update(bytes).digest('hex') === digest) return bytes;
  throw new RondoError('data-loss', `image ${name} arrived with another digest than it was indexed with`, {
    remedy: 'try again; if it happens again, look at the network between the machines',
  });
}

/** What `near` does not have, or has otherwise, comes from `far`: said once, by `warn`. */
export function openFallbackSource(near: Source, far: Source, warn: (message: string) => void): Source {
  let told = false;
  return {
    name: near.name,
    expect: (shards) => near.expect?.(shards),
    async read(split, id, signal) {
      try {
        return await near.read(split, id, signal);
      } catch (thrown) {
        const { code, message } = RondoError.from(thrown);
        if (signal?.aborted || !['not-found', 'failed-precondition', 'permission-denied'].includes(code))
          throw thrown;
        // It may never have been here.
        const what = code === 'not-found' ? `image ${near.name(split, id)} is not on this machine` : message;
        if (!told) warn(`${what}; what is not here is fetched from the coordinator`);
        told = true;
        return far.read(split, id, signal);
      }
    },
    async close() {
      await Promise.all([near.close(), far.close()]);
    },
  };
}

/** The data set as it lies in a folder of this machine. */
export function moveDataset(dataset: Dataset, root: string): Dataset {
  const { validRoot } = dataset;
  const inside = validRoot === undefined ? null : path.relative(dataset.root, validRoot);
  const moved =
    inside === null || inside.startsWith('..') || path.isAbsolute(inside)
      ? validRoot
      : path.join(root, inside);
  return { ...dataset, root, validRoot: moved, access: undefined };
}
