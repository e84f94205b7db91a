import { setImmediate } from 'node:timers/promises';
import type { FloatType } from '../../plan/run-config.js';
import { workspaceOf } from '../arithmetic/reduction-vector.js';
import { abortError } from './breakage.js';
import { addInts, copyIn, copyOut, finishSums, storeFloats } from './codec/segment-codec.js';
import { type GatherOptions, gather } from './gather.js';
import { type Block, cutBlocks, elementBytes, receivedSegment, segmentOf } from './geometry.js';
import { type Call, countRounds, type Ring } from './rounds.js';
import type { SharedVectors } from './transport/shared-memory/shared-vectors.js';

export interface SharedSumOptions extends Omit<GatherOptions, 'round' | 'signal'> {
  readonly wire: FloatType;
  readonly vectors: SharedVectors;
  /** That of all ranks: sums what is not shared, and gathers. */
  readonly ring: Ring;
  readonly hostCount: number;
  /** Around the first ranks of all hosts; null on all others, and on one host. */
  readonly betweenHosts: Ring | null;
}

type Sum = SharedSumOptions & Call & { readonly round: bigint };

/**
 * All-reduce where the vectors lie. Every rank reaches those of its host's ranks, among which `link`, `rank` and
 * `worldSize` are its place: each sums a part of them there. On one host that is all, and each takes the other parts
 * from where they were summed. Of several hosts the first ranks then sum what their hosts have, in a ring, and the
 * others take that from them: so each host sends and receives as much as a single rank would.
 *
 * A rank writes to its own vector only: one that was taken for lost may still be at work when the others have gone on.
 */
export function createSharedSum(o: SharedSumOptions): Ring {
  return countRounds({
    async allReduce(vector, call) {
      const everyones = o.vectors.find(vector);
      if (everyones === null) return o.ring.allReduce(vector, call);
      if (everyones.length === 1) return o.betweenHosts!.allReduce(vector, call);
      await sumEverywhere({ ...o, ...call }, everyones);
    },
    allGather: (bytes, call) => o.ring.allGather(bytes, call),
  });
}

/** Rounds of `gather` that an all-reduce takes at most. */
const barriers = 4n;

async function sumEverywhere(o: Sum, vectors: readonly Float32Array[]): Promise<void> {
  const barrier = (time: bigint) => gather({ ...o, round: barriers * o.round + time }, nothing);
  const blocks = cutBlocks(vectors[o.rank].length, o.worldSize);
  const eachBlock = async (work: (block: Block) => void) => {
    for (const block of blocks) {
      work(block);
      await setImmediate();
      if (o.signal.aborted) throw abortError(o.signal);
    }
  };
  await barrier(0n);
  await eachBlock((block) => sumSegment(block, vectors, o));
  await barrier(1n);
  if (o.hostCount === 1) {
    await eachBlock((block) => copySegments(block, vectors, o));
  } else if (o.rank === 0) {
    await eachBlock((block) => copySegments(block, vectors, o));
    await o.betweenHosts!.allReduce(vectors[0], o);
    await barrier(2n);
  } else {
    await barrier(2n);
    await eachBlock((block) => copyPart(block, vectors[0], vectors[o.rank]));
  }
  // Before that somebody may still be copying from this rank's vector.
  await barrier(3n);
}

/**
 * Sums the segment of a block that a ring would finish here: to floats, or to the integers that the ring between hosts
 * goes on with.
 */
function sumSegment(block: Block, vectors: readonly Float32Array[], o: Sum): void {
  const { rank, worldSize, wire, hostCount } = o;
  const segment = segmentOf(block, worldSize, finishedSegment(rank, worldSize));
  const own = vectors[rank];
  const { piece } = workspaceOf(own)!;
  const step = piece.byteLength / elementBytes.int32;
  for (let start = 0; start < segment.count; start += step) {
    const offset = segment.offset + start;
    const partial = piece.subarray(0, Math.min(step, segment.count - start) * elementBytes.int32);
    copyOut(own, offset, partial);
    for (const vector of vectors) if (vector !== own) addInts(vector, offset, partial);
    if (hostCount === 1) storeFloats(own, offset, finishSums(partial, wire), wire);
    else copyIn(own, offset, partial);
  }
}

/** Copies the segments of a block that other ranks summed. */
function copySegments(block: Block, vectors: readonly Float32Array[], { rank, worldSize }: Sum): void {
  for (const [other, vector] of vectors.entries()) {
    if (other === rank) continue;
    copyPart(segmentOf(block, worldSize, finishedSegment(other, worldSize)), vector, vectors[rank]);
  }
}

function copyPart({ offset, count }: Block, from: Float32Array, { buffer, byteOffset }: Float32Array): void {
  copyOut(from, offset, new Uint8Array(buffer, byteOffset + 4 * offset, 4 * count));
}

function finishedSegment(rank: number, worldSize: number): number {
  return receivedSegment(rank, worldSize, worldSize - 2);
}

const nothing = new Uint8Array(0);
