import { setImmediate } from 'node:timers/promises';
import { abortError } from './breakage.js';
import { workspaceOf } from './codec/reduction-vector.js';
import { segmentCodecs } from './codec/segment-codec.js';
import { type GatherOptions, gather } from './gather.js';
import { type Block, cutBlocks, elementBytes, receivedSegment, segmentOf } from './geometry.js';
import { type AllReduceOptions, countRounds, type Ring } from './rounds.js';
import type { SharedVectors } from './transport/shared-memory/shared-vectors.js';

export interface SharedSumOptions extends Omit<GatherOptions, 'round' | 'signal'> {
  readonly wire: keyof typeof segmentCodecs;
  readonly vectors: SharedVectors;
  /** Sums what is not shared, over the same link. */
  readonly ring: Ring;
}

type Sum = SharedSumOptions & AllReduceOptions & { readonly round: bigint };

/**
 * All-reduce where every rank reaches all ranks' vectors: each sums the segments that it would finish in the
 * ring, in the ring's order and with the ring's roundings, so with the same bits, and takes the other
 * segments from where they were summed. Nothing but the ranks' waiting for each other goes over the link.
 */
export function createSharedSum(o: SharedSumOptions): Ring {
  return countRounds(async (vector, call) => {
    const everyones = o.vectors.find(vector);
    if (everyones === null) return o.ring.allReduce(vector, call);
    await sumEverywhere({ ...o, ...call }, everyones);
  });
}

async function sumEverywhere(o: Sum, vectors: readonly Float32Array[]): Promise<void> {
  const blocks = cutBlocks({ ...o, length: vectors[o.rank].length });
  const meet = (time: bigint) => gather({ ...o, round: 3n * o.round + time }, nothing);
  await meet(0n);
  for (const block of blocks) {
    sumSegment(block, vectors, o);
    await letOthersRun(o.signal);
  }
  await meet(1n);
  for (const block of blocks) {
    copySegments(block, vectors, o);
    await letOthersRun(o.signal);
  }
  // Before that somebody may still be copying from this rank's vector.
  await meet(2n);
}

/**
 * Sums the segment of a block that a ring would finish here: from the rank that it sets out from there, to
 * this one.
 */
function sumSegment(block: Block, vectors: readonly Float32Array[], { rank, worldSize }: Sum): void {
  const first = finishedSegment(rank, worldSize);
  const segment = segmentOf(block, worldSize, first);
  const codec = segmentCodecs[block.wire];
  const bytesEach = elementBytes[block.wire];
  const { piece } = workspaceOf(vectors[rank])!;
  const step = piece.byteLength / bytesEach;
  for (let start = 0; start < segment.count; start += step) {
    const offset = segment.offset + start;
    const partial = piece.subarray(0, Math.min(step, segment.count - start) * bytesEach);
    codec.write(vectors[first], offset, partial);
    for (let next = 1; next < worldSize; next += 1) {
      codec.add(vectors[(first + next) % worldSize], offset, partial);
    }
    codec.store(vectors[rank], offset, partial);
  }
}

/** Copies the segments of a block that other ranks summed. */
function copySegments(block: Block, vectors: readonly Float32Array[], { rank, worldSize }: Sum): void {
  const { buffer, byteOffset } = vectors[rank];
  for (const [other, vector] of vectors.entries()) {
    if (other === rank) continue;
    const { offset, count } = segmentOf(block, worldSize, finishedSegment(other, worldSize));
    segmentCodecs.float32.write(vector, offset, new Uint8Array(buffer, byteOffset + 4 * offset, 4 * count));
  }
}

function finishedSegment(rank: number, worldSize: number): number {
  return receivedSegment(rank, worldSize, worldSize - 2);
}

async function letOthersRun(signal: AbortSignal): Promise<void> {
  await setImmediate();
  if (signal.aborted) throw abortError(signal);
}

const nothing = new Uint8Array(0);
