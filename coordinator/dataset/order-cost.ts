import { countPartitions, type OrderedConfig, openEpochOrder } from '../../plan/epoch-order.js';
import { cutEpoch, microBatchesAt } from '../../plan/micro-batches.js';
import { divideStep } from '../../plan/phases.js';
import { placePartitions } from '../../plan/placement.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { Dataset } from '../../proto/dataset.js';
import type { Samples } from '../../runtime/storage/sample-columns.js';
import { blockBytes } from '../../runtime/storage/sample-reader.js';
import { orderShards, sortByPlace } from './order.js';

/** What an epoch costs that mixes `window` shards at a time, 0 for all images at once, and how well it mixes. */
export interface OrderCost {
  readonly window: number;
  /** Of the first epoch on all machines together, to train and to validate. */
  readonly requests: number;
  readonly bytes: number;
  /** Of the machine that fetches most. With windows later epochs find all of it in its cache, if it fits there. */
  readonly machineBytes: number;
  /** Of that machine, for the epoch itself: with less a shard is fetched twice. */
  readonly cacheBytes: number;
  /** In US dollars, at what S3 asks for requests; what leaves its region is charged by the byte beside that. */
  readonly dollars: number;
  /** Shards that the images of one batch come from, on average; and those of one micro-batch. */
  readonly shardsPerBatch: number;
  readonly shardsPerMicroBatch: number;
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
  readonly microBatch: number;
  /** That divide each step evenly. */
  readonly machines: number;
}

/** Counted over the first epoch. `dataset` is packed, its samples in the order of the data set. */
export function measureOrder(dataset: Dataset, o: CostOptions): OrderCost {
  const { train, valid } = dataset;
  const { window, machines, batchSize } = o;
  const isWhole = window > 0;
  const order: RunConfig['order'] = isWhole ? orderShards(dataset, window) : { kind: 'full', version: 1 };
  const config = { ...o, trainCount: train.length, order };
  const { batchOf, read, ...mean } = goThroughEpoch(train, config, machines);
  let together = 0;
  for (let id = 1; id < batchOf.length; id += 1) if (batchOf[id] === batchOf[id - 1]) together += 1;
  const pairs = Math.max(1, train.length - 1);
  const expected = (Math.min(batchSize, train.length) - 1) / pairs;
  const shardBytes = measureShards(train, valid, dataset.shards?.shards.length ?? 0);
  const fetched = read.map(({ shards, images, bytes }) =>
    isWhole
      ? { requests: shards.size, bytes: sum([...shards].map((shard) => shardBytes[shard]!)) }
      : { requests: images, bytes },
  );
  const validBytes = sum(Array.from(valid, ({ range }) => range!.bytes));
  const requests = sum(fetched.map((own) => own.requests)) + valid.length;
  const partitions = countPartitions(config) ?? 0;
  const open = Math.ceil(partitions / machines) * Math.max(1, Math.ceil(window / partitions));
  return {
    window,
    requests,
    bytes: sum(fetched.map((own) => own.bytes)) + validBytes,
    machineBytes:
      fetched.reduce((most, own) => Math.max(most, own.bytes), 0) + Math.ceil(validBytes / machines),
    // The shards that are read, and as many again that come next.
    cacheBytes: isWhole ? 2 * open * shardBytes.reduce((most, bytes) => Math.max(most, bytes), 0) : 0,
    dollars: (requests / 1_000) * dollarsPerThousand,
    ...mean,
    neighbours: expected === 0 ? 1 : together / pairs / expected,
  };
}

/** The first epoch's steps, whose micro-batches the machines divide as ranks do. */
function goThroughEpoch(train: Samples, config: OrderedConfig, machines: number) {
  const listed = listIds(train, config.order?.kind === 'windows');
  const sampleAt = openEpochOrder(config, 0);
  const cut = cutEpoch(config);
  const { steps } = cut;
  const hosts = Array.from({ length: machines }, (_, machine) => `machine-${machine}`);
  const partitions = placePartitions(config, hosts);
  const batchOf = new Uint32Array(train.length);
  const read = Array.from({ length: machines }, () => ({ shards: new Set<number>(), images: 0, bytes: 0 }));
  let [byBatch, byMicroBatch, pieces] = [0, 0, 0];
  for (let step = 0; step < steps; step += 1) {
    const microBatches = microBatchesAt(cut, step);
    const inBatch = new Set<number>();
    for (const [machine, positions] of divideStep({ microBatches }, machines, partitions).entries()) {
      const own = read[machine]!;
      for (const { start, end } of positions.map((position) => microBatches[position]!)) {
        const inMicroBatch = new Set<number>();
        for (let at = start; at < end; at += 1) {
          const id = listed[sampleAt(step * config.batchSize + at)]!;
          const { shard, bytes } = train.at(id)!.range!;
          batchOf[id] = step;
          for (const shards of [inBatch, inMicroBatch, own.shards]) shards.add(shard);
          own.images += 1;
          own.bytes += bytes;
        }
        byMicroBatch += inMicroBatch.size;
      }
    }
    byBatch += inBatch.size;
    pieces += microBatches.length;
  }
  return { batchOf, read, shardsPerBatch: byBatch / steps, shardsPerMicroBatch: byMicroBatch / pieces };
}

/** Ids as a run has them: positions in `train`, shard after shard where there are windows. */
function listIds(train: Samples, isByShards: boolean): Uint32Array {
  const ids = Uint32Array.from(train, (_, id) => id);
  return isByShards ? sortByPlace(ids, train) : ids;
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
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
