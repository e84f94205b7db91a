import { setImmediate } from 'node:timers/promises';
import type { FloatType } from '../../plan/run-config.js';
import { workspaceOf } from '../arithmetic/reduction-vector.js';
import { abortError } from './breakage.js';
import { addInts, copyOut, finishSums, storeFloats } from './codec/segment-codec.js';
import { type GatherOptions, gather } from './gather.js';
import { type Block, cutBlocks, elementBytes, receivedSegment, segmentOf } from './geometry.js';
import { type Call, countRounds, type Ring } from './rounds.js';
import type { SharedVectors } from './transport/shared-memory/shared-vectors.js';

export interface SharedSumOptions extends Omit<GatherOptions, 'round' | 'signal'> {
  readonly wire: FloatType;
  readonly vectors: SharedVectors;
  /** Sums what is not shared, over the same link. */
  readonly ring: Ring;
}

type Sum = SharedSumOptions & Call & { readonly round: bigint };

/**
 * All-reduce where every rank reaches all ranks' vectors: each sums the segments that it would finish in the
 * ring, and takes the other segments from where they were summed. Nothing but the ranks' waiting for each other
 * goes over the link.
 */
export function createSharedSum(o: SharedSumOptions): Ring {
  return countRounds({
    async allReduce(vector, call) {
      const everyones = o.vectors.find(vector);
      if (everyones === null) return o.ring.allReduce(vector, call);
      await sumEverywhere({ ...o, ...call }, everyones);
    },
    allGather: (bytes, call) => gather({ ...o, ...call, round: barriers * call.round }, bytes),
  });
}

/** Rounds of `gather` that an all-reduce takes. */
const barriers = 3n;

async function sumEverywhere(o: Sum, vectors: readonly Float32Array[]): Promise<void> {
  const blocks = cutBlocks(vectors[o.rank].length, o.worldSize);
  const barrier = (time: bigint) => gather({ ...o, round: barriers * o.round + time }, nothing);
  await barrier(0n);
  for (const block of blocks) {
    sumSegment(block, vectors, o);
    await letOthersRun(o.signal);
  }
  await barrier(1n);
  for (const block of blocks) {
    copySegments(block, vectors, o);
    await letOthersRun(o.signal);
  }
  // Before that somebody may still be copying from this rank's vector.
  await barrier(2n);
}

/** Sums the segment of a block that a ring would finish here. */
function sumSegment(block: Block, vectors: readonly Float32Array[], { rank, worldSize, wire }: Sum): void {
  const segment = segmentOf(block, worldSize, finishedSegment(rank, worldSize));
  const own = vectors[rank];
  const { piece } = workspaceOf(own)!;
  const step = piece.byteLength / elementBytes.int32;
  for (let start = 0; start < segment.count; start += step) {
    const offset = segment.offset + start;
    const partial = piece.subarray(0, Math.min(step, segment.count - start) * elementBytes.int32);
    copyOut(own, offset, partial);
    for (const vector of vectors) if (vector !== own) addInts(vector, offset, partial);
    storeFloats(own, offset, finishSums(partial, wire), wire);
  }
}

/** Copies the segments of a block that other ranks summed. */
function copySegments(block: Block, vectors: readonly Float32Array[], { rank, worldSize }: Sum): void {
  const { buffer, byteOffset } = vectors[rank];
  for (const [other, vector] of vectors.entries()) {
    if (other === rank) continue;
    const { offset, count } = segmentOf(block, worldSize, finishedSegment(other, worldSize));
    copyOut(vector, offset, new Uint8Array(buffer, byteOffset + 4 * offset, 4 * count));
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
