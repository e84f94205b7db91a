import assert from 'node:assert/strict';
import { type CutConfig, cutEpoch, type EpochCut, microBatchesAt } from './micro-batches.js';
import { permuteIndices } from './permute-indices.js';
import { orderByWindows, runningSums, type ShardPart, type Windows, windowsOf } from './windows.js';

export interface PartitionedConfig extends CutConfig {
  readonly seed: number;
  readonly order: {
    /** Of a window of the whole step; every partition takes its part of them, one at least. */
    readonly shards: number;
    /** Training samples of each shard. */
    readonly counts: readonly number[];
  };
}

/** Labels of `permuteIndices`, beside those of windows, which count from 0: of the shards, and downwards of partitions. */
const shardsLabel = 2 ** 32 - 1;
/** In place of an epoch: what is permuted once for all of them. */
const wholeRun = 2 ** 32 - 1;

/** The order of one epoch, partition by partition. */
export interface PartitionedEpoch {
  readonly cut: EpochCut;
  /** Of each micro-batch of a step, what those of all steps go through. */
  readonly partitions: readonly Windows[];
  /** The sample at a position of the epoch. */
  sampleAt(position: number): number;
}

/**
 * Micro-batch j of every step takes the next samples of partition j: the shards, in an order that the seed decides
 * for the whole run, are cut into as many partitions as a step has micro-batches, each as long as those micro-batches
 * together. So whoever computes micro-batch j reads the same shards in every epoch, and who that is changes nothing
 * of the order. Inside its partition an epoch goes through the shards in windows, anew each time.
 */
export function openPartitions(config: PartitionedConfig, epoch: number): PartitionedEpoch {
  const { batchSize, microBatch, seed, order } = config;
  const cut = cutEpoch(config);
  const { steps, whole, last } = cut;
  const sizeOf = (range: { start: number; end: number } | undefined) =>
    range === undefined ? 0 : range.end - range.start;
  const count = Math.max(whole.length, last.length);
  const lengths = Array.from({ length: count }, (_, j) => (steps - 1) * sizeOf(whole[j]) + sizeOf(last[j]));
  const size = Math.max(1, Math.ceil(order.shards / whole.length));
  let firstLabel = 0;
  const partitions = cutShards(order.counts, lengths, seed).map((parts, j) => {
    const labels = { partsLabel: shardsLabel - 1 - j, firstLabel };
    firstLabel += windowsOf(parts.length, size);
    return orderByWindows(parts, { size, seed, epoch, ...labels });
  });
  return {
    cut,
    partitions,
    sampleAt(position) {
      const step = Math.min(Math.floor(position / batchSize), steps - 1);
      const microBatches = microBatchesAt(cut, step);
      const offset = position - step * batchSize;
      const j = Math.min(Math.floor(offset / microBatch), microBatches.length - 1);
      return partitions[j]!.sampleAt(step * sizeOf(whole[j]) + offset - microBatches[j]!.start);
    },
  };
}

/** The samples of all shards, in an order of the shards that the seed decides, cut into pieces of such lengths. */
function cutShards(counts: readonly number[], lengths: readonly number[], seed: number): ShardPart[][] {
  const shardAt = permuteIndices(counts.length, seed, wholeRun, shardsLabel);
  const starts = runningSums(counts);
  assert.equal(starts.at(-1), runningSums(lengths).at(-1), 'shards hold as many samples as an epoch has');
  const pieces: ShardPart[][] = [];
  let [position, taken] = [0, 0];
  for (const length of lengths) {
    const parts: ShardPart[] = [];
    for (let left = length; left > 0; ) {
      const shard = shardAt(position);
      const count = Math.min(left, counts[shard]! - taken);
      if (count > 0) parts.push({ shard, start: starts[shard]! + taken, count });
      left -= count;
      taken += count;
      if (taken === counts[shard]) [position, taken] = [position + 1, 0];
    }
    pieces.push(parts);
  }
  return pieces;
}
