import { permuteIndices } from './permute-indices.js';

/** Training samples that lie one after the other in a shard: ids `start` … `start + count − 1`. */
export interface ShardPart {
  readonly shard: number;
  readonly start: number;
  readonly count: number;
}

/** Parts of shards that are gone through so many at a time, the samples of each window in a random order. */
export interface Windows {
  /** The sample at a position; positions count from 0 through all windows. */
  sampleAt(position: number): number;
  /** The window that a position is in. */
  windowAt(position: number): number;
  /** Of each window, the position that it begins at. */
  readonly starts: readonly number[];
  /** Of each window, the shards that its samples are in. */
  readonly shards: readonly (readonly number[])[];
}

export interface WindowsOptions {
  /** Parts of a window. */
  readonly size: number;
  readonly seed: number;
  readonly epoch: number;
  /** Of `permuteIndices`, for the order of the parts. */
  readonly partsLabel: number;
  /** Of the first window's samples; the next one has the next label. */
  readonly firstLabel: number;
}

/** A pure function of its arguments: the parts in a random order, then the samples of each `size` of them. */
export function orderByWindows(parts: readonly ShardPart[], o: WindowsOptions): Windows {
  const partOrder = permuteIndices(parts.length, o.seed, o.epoch, o.partsLabel);
  const ordered = parts.map((_, position) => parts[partOrder(position)]!);
  /** How many samples come before each, and of all. */
  const before = runningSums(ordered.map(({ count }) => count));
  const windows = windowsOf(parts.length, o.size);
  const starts = Array.from({ length: windows }, (_, window) => before[window * o.size]!);
  const windowAt = (position: number) => lastAtMost(starts, position, 0, windows);
  const openWindow = (window: number) => {
    const start = starts[window]!;
    const count = (starts[window + 1] ?? before.at(-1)!) - start;
    return { window, start, permutation: permuteIndices(count, o.seed, o.epoch, o.firstLabel + window) };
  };
  // Positions are asked for one after the other, mostly.
  let open: ReturnType<typeof openWindow> | null = null;
  return {
    starts,
    windowAt,
    shards: Array.from(starts, (_, window) =>
      ordered
        .slice(window * o.size, (window + 1) * o.size)
        .flatMap(({ shard, count }) => (count > 0 ? [shard] : [])),
    ),
    sampleAt(position) {
      const window = windowAt(position);
      if (open?.window !== window) open = openWindow(window);
      const place = open.start + open.permutation(position - open.start);
      const first = window * o.size;
      const slot = lastAtMost(before, place, first, Math.min(first + o.size, ordered.length));
      return ordered[slot]!.start + place - before[slot]!;
    },
  };
}

export function windowsOf(parts: number, size: number): number {
  return Math.ceil(parts / size);
}

/** Sums of the values before each, and of all. */
export function runningSums(values: readonly number[]): number[] {
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
