import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably } from '../../runtime/durable-file.js';
import { RondoError } from '../../runtime/errors.js';
import { openStore } from '../../runtime/storage/open-store.js';
import { isWritable, type WritableStore } from '../../runtime/storage/store.js';
import { decodeIndex, indexName, type ShardRecord } from '../dataset/shard-index.js';
import { cardName, type OutputFolder, openOutput, requireSamePlan, splitIndex } from './output-folder.js';
import type { PackPlan } from './plan.js';

export interface BucketOutputOptions {
  /** Holds a shard until it is uploaded, and what is known of those that are. */
  readonly cacheDir: string;
  readonly signal: AbortSignal;
  warn?(message: string): void;
}

/** Opens what a pack is put into. Throws invalid-argument for a URL of a kind that nothing is put into. */
export function openDestination(place: string, o: Pick<BucketOutputOptions, 'warn'> = {}): WritableStore {
  const store = openStore(place, o);
  if (isWritable(store)) return store;
  throw new RondoError('invalid-argument', `${place} is not written to: --out takes a folder or s3://…`, {
    remedy: 'pack into a folder and copy that: the shards, README.md and index.rondo are all of it',
  });
}

/**
 * A pack in a bucket: each shard is written into a folder of the cache, uploaded while the next one is, and removed.
 * The card and, last, the index follow. What an earlier call uploaded stays as it is, where the bucket tells its
 * size and SHA-256. Throws as `openOutput` does.
 */
export async function openBucketOutput(
  place: string,
  plan: PackPlan,
  o: BucketOutputOptions,
): Promise<OutputFolder> {
  const store = openDestination(place, o);
  const name = createHash('sha256').update(store.place).digest('hex').slice(0, 16);
  const folder = join(o.cacheDir, 'packing', name);
  const found = await readIndexThere(store, o.signal);
  if (found !== null) requireSamePlan(store.place, found.header.plan, plan, true);
  const staged = await openOutput(folder, plan);
  const finished = new Map(staged.finished);
  if (found !== null) for (const shard of splitIndex(found)) finished.set(shard.record.name, shard);
  let uploading: Promise<void> = Promise.resolve();

  const upload = async (path: string, record: Pick<ShardRecord, 'name' | 'bytes' | 'sha256'>) => {
    await store.put(record.name, { path, ...record }, o.signal);
    await rm(path);
  };
  const uploadText = async (file: string, parts: Iterable<string | Uint8Array>) => {
    const hash = createHash('sha256');
    let bytes = 0;
    const path = join(folder, file);
    await writeDurably(path, counted(parts));
    await upload(path, { name: file, bytes, sha256: hash.digest('hex') });

    function* counted(all: Iterable<string | Uint8Array>) {
      for (const part of all) {
        hash.update(part);
        bytes += Buffer.byteLength(part);
        yield part;
      }
    }
  };
  return {
    ...staged,
    finished,
    whole: found !== null,
    holds: async ({ name: file, bytes, sha256 }) => {
      const there = await store.describe(file, o.signal).catch((error: unknown) => {
        if (RondoError.from(error).code === 'not-found') return null;
        throw error;
      });
      return there?.bytes === bytes && there.sha256 === sha256;
    },
    async keep(header, columns, paths) {
      await uploading;
      const record = header.shards[0]!;
      uploading = upload(join(folder, record.name), record).then(() => staged.keep(header, columns, paths));
      // It is awaited with the next shard, or at the end.
      uploading.catch(() => {});
    },
    async complete(card, index) {
      await uploading;
      await uploadText(cardName, [card]);
      await uploadText(indexName, index);
    },
    async tidy() {
      await uploading;
      await rm(folder, { recursive: true, force: true });
    },
    async close() {
      await uploading.catch(() => {});
      await staged.close();
      await store.close();
    },
  };
}

async function readIndexThere(store: WritableStore, signal: AbortSignal) {
  const bytes = await store.read(indexName, null, signal).catch((error: unknown) => {
    if (RondoError.from(error).code === 'not-found' && !/no bucket/.test((error as Error).message))
      return null;
    throw error;
  });
  return bytes === null ? null : decodeIndex(bytes, store.nameOf(indexName));
}
