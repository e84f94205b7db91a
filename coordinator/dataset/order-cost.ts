import { openEpochOrder } from '../../plan/epoch-order.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { Dataset } from '../../proto/dataset.js';
import type { Samples } from '../../runtime/storage/sample-columns.js';
import { blockBytes } from '../../runtime/storage/sample-reader.js';
import { sortByPlace } from './order.js';

/** What an epoch costs that mixes `window` shards at a time, 0 for all images at once, and how well it mixes. */
export interface OrderCost {
  readonly window: number;
  /** Of the first epoch on one machine, to train and to validate; later ones find in the cache what fits there. */
  readonly requests: number;
  readonly bytes: number;
  /** For the epoch itself: with less a shard is fetched twice. */
  readonly cacheBytes: number;
  /** In US dollars, at what S3 asks for requests; what leaves its region is charged by the byte beside that. */
  readonly dollars: number;
  /** Shards that the images of one batch come from, on average. */
  readonly shardsPerBatch: number;
  /**
   * How often two images that follow each other in the data set are in one batch, as a multiple of what it would
   * be if all images were mixed: 1 is best.
   */
  readonly neighbours: number;
}

/** Of S3 Standard, for 1,000 GET requests (us-east-1, list price of 2025). */
const dollarsPerThousand = 0.0004;

export interface CostOptions {
  readonly window: number;
  readonly seed: number;
  readonly batchSize: number;
}

/** Counted over the first epoch. `dataset` is packed, its samples in the order of the data set. */
export function measureOrder({ train, valid, shards }: Dataset, o: CostOptions): OrderCost {
  const names = shards?.shards ?? [];
  const { window, batchSize } = o;
  const listed = listIds(train, window);
  const counts = names.map(() => 0);
  for (const { range } of train) counts[range!.shard]! += 1;
  const order: RunConfig['order'] =
    window === 0 ? { kind: 'full', version: 1 } : { kind: 'windows', version: 1, shards: window, counts };
  const sampleAt = openEpochOrder({ seed: o.seed, trainCount: train.length, order }, 0);
  const batchOf = new Uint32Array(train.length);
  const batches = Math.max(1, Math.floor(train.length / batchSize));
  let met = 0;
  let inBatch = new Set<number>();
  for (let position = 0; position < train.length; position += 1) {
    const batch = Math.min(Math.floor(position / batchSize), batches - 1);
    const id = listed[sampleAt(position)]!;
    if (position > 0 && position % batchSize === 0 && batch * batchSize === position) {
      met += inBatch.size;
      inBatch = new Set();
    }
    batchOf[id] = batch;
    inBatch.add(train.at(id)!.range!.shard);
  }
  met += inBatch.size;
  let together = 0;
  for (let id = 1; id < batchOf.length; id += 1) if (batchOf[id] === batchOf[id - 1]) together += 1;
  const pairs = Math.max(1, train.length - 1);
  const expected = (Math.min(batchSize, train.length) - 1) / pairs;
  const validBytes = sumBytes(valid);
  const shardBytes = measureShards(train, valid, names.length);
  const used = counts.flatMap((count, shard) => (count === 0 ? [] : [shardBytes[shard]!]));
  const requests = (window === 0 ? train.length : used.length) + valid.length;
  return {
    window,
    requests,
    bytes: (window === 0 ? sumBytes(train) : used.reduce((sum, bytes) => sum + bytes, 0)) + validBytes,
    // The shards that are read, and as many again that come next.
    cacheBytes: window === 0 ? 0 : 2 * window * used.reduce((most, bytes) => Math.max(most, bytes), 0),
    dollars: (requests / 1_000) * dollarsPerThousand,
    shardsPerBatch: met / batches,
    neighbours: expected === 0 ? 1 : together / pairs / expected,
  };
}

/** Ids as a run with such a window has them: positions in `train`, shard after shard where there are windows. */
function listIds(train: Samples, window: number): Uint32Array {
  const ids = Uint32Array.from(train, (_, id) => id);
  return window === 0 ? ids : sortByPlace(ids, train);
}

function sumBytes(samples: Samples): number {
  let bytes = 0;
  for (const { range } of samples) bytes += range!.bytes;
  return bytes;
}

/** Up to the end of the last image of each. */
function measureShards(train: Samples, valid: Samples, count: number): number[] {
  const bytes = new Array<number>(count).fill(0);
  for (const samples of [train, valid]) {
    for (const { range } of samples) {
      const { shard, block, bytes: own } = range!;
      bytes[shard] = Math.max(bytes[shard]!, block * blockBytes + own);
    }
  }
  return bytes;
}
