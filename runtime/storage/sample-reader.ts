import { createHash } from 'node:crypto';
import { RondoError } from '../errors.js';
import { openStore } from './open-store.js';
import type { StoreOptions } from './store.js';

/** A tar file's unit: every file in it begins at a multiple of this. */
export const blockBytes = 512;

/** What says where a sample's bytes are: a file of their own, or a part of a shard. */
export interface StoredSample {
  readonly path: string;
  /** SHA-256 of its bytes, in hex. */
  readonly digest: string;
  readonly range?: { readonly shard: number; readonly block: number; readonly bytes: number } | undefined;
}

/** A file that holds samples. */
export interface StoredShard {
  readonly name: string;
  /** SHA-256 of the whole file, in hex. */
  readonly digest: string;
}

/** Reads samples of one place, whatever it is. */
export interface SampleReader {
  /**
   * A sample's bytes, which are those of its digest: failed-precondition, naming it, when they are not. Rejects
   * as `Store.read` does.
   */
  read(sample: StoredSample, signal?: AbortSignal): Promise<Buffer>;
  /** Where a sample is, for people. */
  nameOf(sample: StoredSample): string;
  close(): Promise<void>;
}

/**
 * @param root a folder or a URL
 * @param shards the files there that hold the samples with a `range`
 */
export function openSampleReader(
  root: string,
  shards: readonly StoredShard[],
  o: StoreOptions = {},
): SampleReader {
  const store = openStore(root, o);
  const fileOf = ({ path, range }: StoredSample): string => {
    if (range === undefined) return path;
    const shard = shards[range.shard];
    if (shard !== undefined) return shard.name;
    throw new RondoError('data-loss', `${path} is in shard ${range.shard}, and there are ${shards.length}`);
  };
  const nameOf = (sample: StoredSample) => {
    const name = store.nameOf(fileOf(sample));
    return sample.range === undefined ? name : `${sample.path} in ${name}`;
  };
  return {
    nameOf,
    async read(sample, signal) {
      const { range } = sample;
      const start = (range?.block ?? 0) * blockBytes;
      const part = range === undefined ? null : { start, end: start + range.bytes };
      const bytes = await store.read(fileOf(sample), part, signal);
      requireSame(bytes, sample, nameOf(sample));
      return bytes;
    },
    close: () => store.close(),
  };
}

function requireSame(bytes: Uint8Array, { digest }: StoredSample, name: string): void {
  if (createHash('sha256').update(bytes).digest('hex') === digest) return;
  throw new RondoError('failed-precondition', `image ${name} is not what it was when the run began`, {
    remedy:
      'restore the file and resume the run, or start a new one; images must not change while a run reads them',
  });
}
