import { type CutConfig, cutEpoch, microBatchesAt } from './micro-batches.js';
import { openPartitions } from './partitions.js';
import { permuteIndices } from './permute-indices.js';
import type { RunConfig } from './run-config.js';
import { epochPermutation } from './sampler.js';
import { orderByWindows, runningSums, type Windows } from './windows.js';

/** What decides in which order an epoch visits the training samples. */
export interface OrderedConfig extends CutConfig, Pick<RunConfig, 'seed' | 'order'> {}

/** The sample that an epoch visits at a position; both are 0 … trainCount−1. */
export type EpochOrder = (position: number) => number;

/** How an epoch visits the samples. */
interface EpochVisit {
  readonly order: EpochOrder;
  readonly windows: EpochWindows | null;
}

/** The windows of shards that an epoch goes through: one after the other, or in each partition by itself. */
export interface EpochWindows {
  /**
   * Where step `stepInEpoch` of the epoch is in the windows that a rank reads: of its partitions, or of all. Without
   * what is only in an epoch's last step, the few samples of one micro-batch more.
   */
  placesOf(stepInEpoch: number, partitions?: readonly number[] | null): readonly PlaceInWindows[];
}

/** The positions `start` … `end − 1`: what a step takes, which may be nothing in an epoch's last step. */
export interface PlaceInWindows {
  readonly windows: Windows;
  readonly start: number;
  readonly end: number;
}

type WindowsOrder = Extract<NonNullable<RunConfig['order']>, { readonly kind: 'windows' }>;

/** Label of the order of the shards themselves in version 1; its windows are counted from 0. */
const shardLabel = 2 ** 32 - 1;

interface Remembered {
  readonly config: OrderedConfig;
  readonly epoch: number;
  readonly visit: EpochVisit;
}

// A loader reads ahead across an epoch's end; a resumed or verified run adds a third.
const rememberedOrders = 4;
const remembered: Remembered[] = [];

/**
 * Epoch `epoch`'s order, a pure function of the configuration and the epoch, whatever the number of workers. Without
 * an `order` in the configuration it is that of runs before there was one.
 */
export function openEpochOrder(config: OrderedConfig, epoch: number): EpochOrder {
  return openEpoch(config, epoch).order;
}

/** The windows of shards of epoch `epoch`; null where all samples are mixed. */
export function openEpochWindows(config: OrderedConfig, epoch: number): EpochWindows | null {
  return openEpoch(config, epoch).windows;
}

/** Partitions of the shards, one for each micro-batch of a whole step; null where the order has none. */
export function countPartitions(config: OrderedConfig): number | null {
  const { order } = config;
  return order?.kind === 'windows' && order.version === 2 ? cutEpoch(config).whole.length : null;
}

function openEpoch(config: OrderedConfig, epoch: number): EpochVisit {
  const known = remembered.find((r) => r.epoch === epoch && isSame(r.config, config));
  if (known !== undefined) return known.visit;
  const visit = makeVisit(config, epoch);
  remembered.unshift({ config, epoch, visit });
  remembered.length = Math.min(remembered.length, rememberedOrders);
  return visit;
}

function isSame(a: OrderedConfig, b: OrderedConfig): boolean {
  const isCutAlike = a.batchSize === b.batchSize && a.microBatch === b.microBatch;
  return a.seed === b.seed && a.trainCount === b.trainCount && isCutAlike && a.order === b.order;
}

function makeVisit(config: OrderedConfig, epoch: number): EpochVisit {
  const { seed, trainCount, order } = config;
  if (order === undefined) {
    const permutation = epochPermutation(seed, epoch, trainCount);
    return { order: (position) => permutation[position]!, windows: null };
  }
  if (order.kind === 'full') return { order: permuteIndices(trainCount, seed, epoch, 0), windows: null };
  return order.version === 1
    ? visitInOneRow(order, config, epoch)
    : visitPartitions({ ...config, order }, epoch);
}

function visitPartitions(
  config: CutConfig & { seed: number; order: WindowsOrder },
  epoch: number,
): EpochVisit {
  const { cut, partitions, sampleAt } = openPartitions(config, epoch);
  const all = [...cut.whole.keys()];
  const placesOf = (step: number, own: readonly number[] | null = null) =>
    (own ?? all)
      .filter((partition) => partition < all.length)
      .map((partition) => {
        const { start: from, end: to } = cut.whole[partition]!;
        const start = step * (to - from);
        const taken = microBatchesAt(cut, step)[partition];
        const end = start + (taken === undefined ? 0 : taken.end - taken.start);
        return { windows: partitions[partition]!, start, end };
      });
  return { order: sampleAt, windows: { placesOf } };
}

/** Version 1: one window after the other, each mixed over all micro-batches. */
function visitInOneRow({ shards, counts }: WindowsOrder, config: OrderedConfig, epoch: number): EpochVisit {
  const { seed, batchSize } = config;
  const { steps } = cutEpoch(config);
  const starts = runningSums(counts);
  const windows = orderByWindows(
    counts.map((count, shard) => ({ shard, start: starts[shard]!, count })),
    { size: shards, seed, epoch, partsLabel: shardLabel, firstLabel: 0 },
  );
  const placesOf = (step: number) => {
    const start = step * batchSize;
    return [{ windows, start, end: step === steps - 1 ? config.trainCount : start + batchSize }];
  };
  return { order: windows.sampleAt, windows: { placesOf } };
}
