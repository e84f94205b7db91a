/** Half open: `start` belongs to it, `end` does not. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * Whether what remains beside whole batches or micro-batches joins the one before it: it is less than half of
 * a micro-batch, or a single sample, because batch norm has no variance over one.
 */
export function joinsBefore(remainder: number, microBatch: number): boolean {
  return remainder < microBatch / 2 || remainder < 2;
}

/**
 * Cuts a global batch of `count` samples into micro-batches of `microBatch`; what `joinsBefore` makes the
 * last one larger. Depends on nothing but its arguments: ranks divide the micro-batches and never cut them.
 */
export function cutMicroBatches(count: number, microBatch: number): Range[] {
  const full = Math.floor(count / microBatch);
  const remainder = count % microBatch;
  const joins = full > 0 && joinsBefore(remainder, microBatch);
  const pieces = full + (joins || remainder === 0 ? 0 : 1);
  return Array.from({ length: pieces }, (_, index) => ({
    start: index * microBatch,
    end: index === pieces - 1 ? count : (index + 1) * microBatch,
  }));
}

/** Rank `rank`'s contiguous share of `count` items. Sizes differ by at most one, the larger first. */
export function shareOf(count: number, rank: number, worldSize: number): Range {
  const size = Math.floor(count / worldSize);
  const larger = count % worldSize;
  const start = rank * size + Math.min(rank, larger);
  return { start, end: start + size + (rank < larger ? 1 : 0) };
}
