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

/** What decides how an epoch is cut into steps, and steps into micro-batches. */
export interface CutConfig {
  readonly trainCount: number;
  readonly batchSize: number;
  readonly microBatch: number;
}

/**
 * The partial last batch is a step too. Where it is no micro-batch by itself it joins the batch before it: a
 * step of a few samples would have the learning rate of a whole one, and a whole one's say in the running
 * statistics.
 */
export function stepsPerEpoch({ trainCount, batchSize, microBatch }: CutConfig): number {
  const full = Math.floor(trainCount / batchSize);
  const remainder = trainCount % batchSize;
  const joins = full > 0 && joinsBefore(remainder, microBatch);
  return full + (remainder === 0 || joins ? 0 : 1);
}

/** An epoch of `steps` steps. Ranges are positions in a step. */
export interface EpochCut {
  readonly steps: number;
  /** Micro-batches of every step but the last; of the last where there is no other. */
  readonly whole: readonly Range[];
  /** Of the last step: there may be fewer, or one more, and the last may be of another size. */
  readonly last: readonly Range[];
}

export function cutEpoch(config: CutConfig): EpochCut {
  const { trainCount, batchSize, microBatch } = config;
  const steps = stepsPerEpoch(config);
  const last = cutMicroBatches(steps === 0 ? 0 : trainCount - (steps - 1) * batchSize, microBatch);
  return { steps, whole: steps > 1 ? cutMicroBatches(batchSize, microBatch) : last, last };
}

/** Those of the epoch's step `step`, counted from 0. */
export function microBatchesAt({ steps, whole, last }: EpochCut, step: number): readonly Range[] {
  return step === steps - 1 ? last : whole;
}

/** Those of the validation set; ranges are sample ids. */
export function cutEvaluation(config: { readonly validCount: number; readonly microBatch: number }): Range[] {
  return cutMicroBatches(config.validCount, config.microBatch);
}

/** Rank `rank`'s contiguous share of `count` items. Sizes differ by at most one, the larger first. */
export function shareOf(count: number, rank: number, worldSize: number): Range {
  const size = Math.floor(count / worldSize);
  const larger = count % worldSize;
  const start = rank * size + Math.min(rank, larger);
  return { start, end: start + size + (rank < larger ? 1 : 0) };
}

/** Positions of micro-batches among a step's, ascending, by rank. */
export type Division = readonly (readonly number[])[];

/**
 * Who computes the micro-batches of a step, or of an evaluation, that was cut off: those that a rank has done (`done`,
 * by rank) are its own, and the others go to ranks with the least to do. What is none of the `count`, or somebody
 * else's, counts as not done.
 */
export function divideRest(count: number, done: Division): Division {
  const shares = done.map((): number[] => []);
  const added = done.map(() => 0);
  const owners = new Map<number, number>();
  for (const [rank, positions] of done.entries()) {
    for (const position of positions) if (!owners.has(position)) owners.set(position, rank);
  }
  const rest: number[] = [];
  for (let position = 0; position < count; position += 1) {
    const owner = owners.get(position);
    if (owner === undefined) rest.push(position);
    else shares[owner]!.push(position);
  }
  for (const position of rest) {
    const ranks = [...shares.keys()];
    const rank = ranks.reduce((best, each) => {
      const difference = added[each]! - added[best]! || shares[each]!.length - shares[best]!.length;
      return difference < 0 ? each : best;
    });
    shares[rank]!.push(position);
    added[rank]! += 1;
  }
  return shares.map((positions) => positions.sort((a, b) => a - b));
}
