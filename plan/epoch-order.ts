import { openStream } from './random.js';
import type { RunConfig } from './run-config.js';
import { epochPermutation } from './sampler.js';

/** What decides in which order an epoch visits the training samples. */
export type OrderedConfig = Pick<RunConfig, 'seed' | 'trainCount' | 'order'>;

/** The sample that an epoch visits at a position; both are 0 … trainCount−1. */
export type EpochOrder = (position: number) => number;

/** Of a Feistel network; four are enough for one that cannot be told from a random one (Luby and Rackoff, 1988). */
const rounds = 8;
/** Label of the order of the shards themselves; windows are counted from 0. */
const shardLabel = 2 ** 32 - 1;

interface Remembered {
  readonly config: OrderedConfig;
  readonly epoch: number;
  readonly visit: EpochVisit;
}

/** How an epoch visits the samples. */
interface EpochVisit {
  readonly order: EpochOrder;
  readonly windows: EpochWindows | null;
}

/** What an epoch goes through one after the other. */
export interface EpochWindows {
  /** Of each window, the shards that training samples of it are in. */
  readonly shards: readonly (readonly number[])[];
  /** The window that a position of the epoch is in. */
  windowAt(position: number): number;
}

// A loader reads ahead across an epoch's end; a resumed or verified run adds a third.
const rememberedOrders = 4;
const remembered: Remembered[] = [];

/**
 * Epoch `epoch`'s order, a pure function of the seed and the epoch, whatever the number of workers. Without an
 * `order` in the configuration it is that of runs before there was one.
 */
export function openEpochOrder(config: OrderedConfig, epoch: number): EpochOrder {
  return openEpoch(config, epoch).order;
}

/** The windows of shards of epoch `epoch`; null where all samples are mixed. */
export function openEpochWindows(config: OrderedConfig, epoch: number): EpochWindows | null {
  return openEpoch(config, epoch).windows;
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
  return a.seed === b.seed && a.trainCount === b.trainCount && a.order === b.order;
}

function makeVisit({ seed, trainCount, order }: OrderedConfig, epoch: number): EpochVisit {
  if (order === undefined) {
    const permutation = epochPermutation(seed, epoch, trainCount);
    return { order: (position) => permutation[position]!, windows: null };
  }
  return order.kind === 'full'
    ? { order: permuteIndices(trainCount, seed, epoch, 0), windows: null }
    : orderWindows(order, seed, epoch);
}

/**
 * A permutation of 0 … count−1 that holds no list: a Feistel network on a grid of about √count × √count, walked
 * until it comes back to a number below `count` (Black and Rogaway, "Ciphers with arbitrary finite domains",
 * 2002). `count` may be up to 2^32.
 */
export function permuteIndices(count: number, seed: number, epoch: number, label: number): EpochOrder {
  const rows = Math.max(1, Math.ceil(Math.sqrt(count)));
  const columns = Math.max(1, Math.ceil(count / rows));
  const stream = openStream(seed, 'order', epoch, label);
  const keys = Uint32Array.from({ length: rounds }, () => stream.uint32());
  return (position) => {
    let index = position;
    do {
      let left = Math.floor(index / columns);
      let right = index % columns;
      // The halves change places each time, and with them their sizes; after an even number they have them back.
      for (let round = 0; round < rounds; round += 1) {
        const size = round % 2 === 0 ? rows : columns;
        const mixed = (left + (mix(right ^ keys[round]!) % size)) % size;
        left = right;
        right = mixed;
      }
      index = left * columns + right;
    } while (index >= count);
    return index;
  };
}

/** MurmurHash3's finalizer: every bit of the input changes each bit of the output half of the time. */
function mix(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

type Windows = Extract<NonNullable<RunConfig['order']>, { readonly kind: 'windows' }>;

/** Shards in a random order; the samples of each `shards` of them, one after the other, in a random order. */
function orderWindows({ shards, counts }: Windows, seed: number, epoch: number): EpochVisit {
  const shardOrder = permuteIndices(counts.length, seed, epoch, shardLabel);
  const order = Array.from(counts, (_, position) => shardOrder(position));
  const starts = runningSums(counts);
  /** Of the shards in their order: how many samples come before each. */
  const before = runningSums(order.map((shard) => counts[shard]!));
  const windows = Math.ceil(counts.length / shards);
  const windowStarts = Array.from({ length: windows }, (_, window) => before[window * shards]!);
  const total = before.at(-1)!;
  const permutations = new Map<number, EpochOrder>();
  const permutationOf = (window: number): EpochOrder => {
    const known = permutations.get(window);
    if (known !== undefined) return known;
    const size = (windowStarts[window + 1] ?? total) - windowStarts[window]!;
    const made = permuteIndices(size, seed, epoch, window);
    permutations.set(window, made);
    return made;
  };
  const windowAt = (position: number) => lastAtMost(windowStarts, position, 0, windows);
  const sampleAt = (position: number) => {
    const window = windowAt(position);
    const start = windowStarts[window]!;
    const place = start + permutationOf(window)(position - start);
    const first = window * shards;
    const slot = lastAtMost(before, place, first, Math.min(first + shards, counts.length));
    return starts[order[slot]!]! + place - before[slot]!;
  };
  const shardsOf = (_: unknown, window: number) =>
    order.slice(window * shards, (window + 1) * shards).filter((shard) => counts[shard]! > 0);
  return { order: sampleAt, windows: { windowAt, shards: Array.from({ length: windows }, shardsOf) } };
}

/** Sums of the values before each, and of all. */
function runningSums(values: readonly number[]): number[] {
  const sums = [0];
  for (const value of values) sums.push(sums.at(-1)! + value);
  return sums;
}

/** The last of `sorted[from … to−1]` that is not above `value`. */
function lastAtMost(sorted: readonly number[], value: number, from: number, to: number): number {
  let [low, high] = [from, to - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (sorted[middle]! <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}
