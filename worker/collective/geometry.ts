import type { FloatType } from '../../plan/run-config.js';

/**
 * Geometry of the ring all-reduce (Patarasuk and Yuan 2009), as pure functions.
 *
 * The vector is cut into blocks and every block into N segments, one chunk each. A block's segments travel
 * the ring in 2(N−1) hops: N−1 of reduce-scatter, in which partial sums grow, then N−1 of all-gather, in
 * which finished segments spread. Blocks are independent of each other, so several are under way at once: one
 * block's addition overlaps another's arrival, and what is under way stays in the processor's cache.
 *
 *      hop 0        hop 1        hop 2        hop 3            N = 3: what each rank sends
 *   0: segment 0    segment 2    segment 1    segment 0
 *   1: segment 1    segment 0    segment 2    segment 1        always (rank − hop) mod N
 *   2: segment 2    segment 1    segment 0    segment 2
 *      └─ reduce-scatter ──┘     └──── all-gather ───┘
 */
export interface Block {
  /** First element in the vector, and how many. */
  readonly offset: number;
  readonly count: number;
}

export interface Segment {
  readonly offset: number;
  readonly count: number;
}

/** A chunk's payload is at most this long. Fewer and longer chunks take less processor time up to here. */
export const chunkBytes = 2 * 1024 * 1024;

/** Blocks under way at once. A link never holds more than `worldSize * blocksUnderWay` chunks. */
export const blocksUnderWay = 2;

/** What a chunk carries: partial sums are int32, finished ones the ring's float type. */
export type PayloadType = 'int32' | FloatType;

export const elementBytes: Record<PayloadType, number> = { int32: 4, float32: 4, bfloat16: 2 };

/** The blocks of a vector of `length` elements, in order; they differ by at most one element. */
export function cutBlocks(length: number, worldSize: number): Block[] {
  const largest = worldSize * Math.floor(chunkBytes / elementBytes.int32);
  const blockCount = Math.ceil(length / largest);
  const startOf = (index: number) => Math.floor((index * length) / blockCount);
  return Array.from({ length: blockCount }, (_, index) => ({
    offset: startOf(index),
    count: startOf(index + 1) - startOf(index),
  }));
}

/** Segment `index` of a block; segments of a block smaller than the world may be empty. */
export function segmentOf(block: Block, worldSize: number, index: number): Segment {
  const start = Math.floor((index * block.count) / worldSize);
  const end = Math.floor(((index + 1) * block.count) / worldSize);
  return { offset: block.offset + start, count: end - start };
}

export function hopCount(worldSize: number): number {
  return 2 * (worldSize - 1);
}

/** Which segment of a block `rank` sends at `hop`. */
export function sentSegment(rank: number, worldSize: number, hop: number): number {
  return (rank - hop + 2 * worldSize) % worldSize;
}

/** Which segment of a block `rank` receives at `hop`: what its predecessor sends. */
export function receivedSegment(rank: number, worldSize: number, hop: number): number {
  return sentSegment(predecessorOf(rank, worldSize), worldSize, hop);
}

export function predecessorOf(rank: number, worldSize: number): number {
  return (rank + worldSize - 1) % worldSize;
}

export function successorOf(rank: number, worldSize: number): number {
  return (rank + 1) % worldSize;
}

/** What a rank does with a segment. */
export type Role =
  /** Sends its own part of it. */
  | 'start'
  /** Adds its own part and sends the partial sum on. */
  | 'add'
  /** Does so last, keeps the sum, and sends that on as floats. */
  | 'finish'
  /** Keeps what is finished, and sends it on unless it was sent to all. */
  | 'spread';

/** The receiver's role in what arrives at `hop`. */
export function roleAt(hop: number, worldSize: number): Role {
  if (hop < worldSize - 2) return 'add';
  return hop === worldSize - 2 ? 'finish' : 'spread';
}

/** What a chunk carries at `hop`. */
export function payloadAt(hop: number, worldSize: number, wire: FloatType): PayloadType {
  return hop < worldSize - 1 ? 'int32' : wire;
}
