import assert from 'node:assert/strict';
import type { ExpectedShards } from '../../runtime/storage/whole-shards.js';

/** A micro-batch on its way through a step; its memory may be reused once released. */
export interface LoadedBatch {
  readonly ids: Uint32Array;
  readonly pixels: Uint8Array;
  readonly labels: Int32Array;
  readonly transforms: Float32Array;
  readonly lighting: Float32Array;
  release(): void;
}

export interface BatchRequest {
  readonly split: 'train' | 'valid';
  readonly ids: Uint32Array;
  /** Decides the augmentation; null for none. */
  readonly epoch: number | null;
  /** Which of plan/test-time.ts's views of the images; then there is no epoch. */
  readonly view?: number;
  /** Where they change: the shards that training reads from here on. */
  readonly shards?: ExpectedShards<number>;
}

/** What training needs of the data: the requested micro-batches, in order, read ahead. */
export interface BatchLoader {
  load(
    requests: Iterable<BatchRequest>,
    options: { depth: number; signal: AbortSignal },
  ): AsyncIterable<LoadedBatch>;
}

/** Micro-batches that wait ready, or nearly, while the compute thread works. */
const ahead = 4;

export interface Batches {
  /** The next one; whoever takes it releases it. */
  take(): Promise<LoadedBatch>;
  /** Ends reading ahead. */
  close(): Promise<void>;
}

/**
 * What `requests` ask for, read ahead of the consumer from the first `take` on.
 *
 * @param held how many micro-batches the consumer holds at a time
 */
export function openBatches(
  loader: BatchLoader,
  requests: Iterable<BatchRequest>,
  { held, signal }: { held: number; signal: AbortSignal },
): Batches {
  const loaded = loader.load(requests, { depth: held + ahead, signal })[Symbol.asyncIterator]();
  return {
    async take() {
      const { value, done } = await loaded.next();
      assert(!done, 'the loader ended before the run');
      return value;
    },
    async close() {
      await loaded.return?.();
    },
  };
}
