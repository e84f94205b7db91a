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
  readonly wire: FloatType;
}

export interface Segment {
  readonly offset: number;
  readonly count: number;
}

/** A chunk's payload is at most this long. Fewer and longer chunks take less processor time up to here. */
export const chunkBytes = 2 * 1024 * 1024;

/** Blocks under way at once. A link never holds more than `worldSize * blocksUnderWay` chunks. */
export const blocksUnderWay = 2;

export const elementBytes: Record<FloatType, number> = { float32: 4, bfloat16: 2 };

/**
 * The blocks of a vector of `length` elements, in order. No block straddles `exactFrom`; from there on they
 * travel as float32. Within either part blocks differ by at most one element.
 */
export function cutBlocks(o: {
  length: number;
  exactFrom: number;
  worldSize: number;
  wire: FloatType;
}): Block[] {
  return [
    ...cutEvenly(0, o.exactFrom, o.worldSize, o.wire),
    ...cutEvenly(o.exactFrom, o.length, o.worldSize, 'float32'),
  ];
}

function cutEvenly(start: number, end: number, worldSize: number, wire: FloatType): Block[] {
  const length = end - start;
  const largest = worldSize * Math.floor(chunkBytes / elementBytes[wire]);
  const blockCount = Math.ceil(length / largest);
  const blocks: Block[] = [];
  for (let index = 0; index < blockCount; index += 1) {
    const offset = start + Math.floor((index * length) / blockCount);
    const next = start + Math.floor(((index + 1) * length) / blockCount);
    blocks.push({ offset, count: next - offset, wire });
  }
  return blocks;
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

/** A segment that arrives at `hop` is a partial sum, to which the receiver adds its own. */
export function addsAt(hop: number, worldSize: number): boolean {
  return hop < worldSize - 1;
}

/**
 * After the receiver's part at `hop` the segment is finished: the last addition, or any hop of all-gather.
 */
export function finishesAt(hop: number, worldSize: number): boolean {
  return hop >= worldSize - 2;
}
