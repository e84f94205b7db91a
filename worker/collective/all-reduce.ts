import assert from 'node:assert/strict';
import type { FloatType } from '../../plan/run-config.js';
import { RondoError } from '../../runtime/errors.js';
import type { Link } from './link.js';
import * as ring from './ring.js';
import { segmentCodecs } from './segment-codec.js';
import { allocateChunk, type FramedChunk, releaseChunk, wireTypes } from './wire-format.js';

export interface Ring {
  /**
   * Replaces `vector` by its sum over all ranks, bit for bit the same on every rank. All ranks call it in the same
   * order with the same length and `exactFrom`, from which element on everything travels as float32. The vector may
   * be shared memory; it must be left alone until the promise settles, and nothing of it is retained afterwards.
   *
   * With a bfloat16 wire every partial sum is rounded to nearest even, and the result too; a world of one rounds
   * its vector likewise, so that the world size changes no more than the order of summation does.
   *
   * @throws RondoError: the link's own; `data-loss` for a chunk out of order, `aborted` for one of another
   * generation, `aborted` or the signal's reason when the signal aborts. After any of them the ring is broken and
   * every later call throws the same.
   */
  allReduce(vector: Float32Array, o: { exactFrom: number; signal: AbortSignal }): Promise<void>;
}

export function createRing(o: {
  rank: number;
  worldSize: number;
  generation: bigint;
  link: Link;
  wire: FloatType;
}): Ring {
  assert(o.rank >= 0 && o.rank < o.worldSize, `rank ${o.rank} of ${o.worldSize}`);
  let round = 0n;
  let busy = false;
  let broken: RondoError | null = null;
  return {
    async allReduce(vector, { exactFrom, signal }) {
      assert(!busy, 'one all-reduce at a time');
      assert(exactFrom >= 0 && exactFrom <= vector.length, `exactFrom ${exactFrom} of ${vector.length}`);
      assert(vector.length <= 0xffffffff, `${vector.length} elements have no offset in a chunk`);
      if (broken !== null) throw broken;
      busy = true;
      try {
        await runRound({ ...o, vector, exactFrom, round, signal });
        round += 1n;
      } catch (error) {
        broken = RondoError.from(error);
        throw broken;
      } finally {
        busy = false;
      }
    },
  };
}

interface Round {
  readonly rank: number;
  readonly worldSize: number;
  readonly generation: bigint;
  readonly link: Link;
  readonly wire: FloatType;
  readonly vector: Float32Array;
  readonly exactFrom: number;
  readonly round: bigint;
  readonly signal: AbortSignal;
}

async function runRound(o: Round): Promise<void> {
  if (o.signal.aborted) throw abortion(o.signal);
  const blocks = ring.cutBlocks({ ...o, length: o.vector.length });
  if (o.worldSize === 1) {
    for (const block of blocks) roundInPlace(o.vector, block);
    return;
  }
  const outgoing: Promise<void>[] = [];
  const breakage = watchBreakage(o.signal);
  const send = (chunk: FramedChunk) => {
    const sent = o.link.send(chunk);
    sent.catch(breakage.report);
    outgoing.push(sent);
  };
  try {
    for (const block of blocks.slice(0, ring.blocksUnderWay)) send(firstChunk(o, block));
    for (const { index, hop } of arrivals(blocks.length, o.worldSize)) {
      const chunk = await Promise.race([o.link.receive(), breakage.promise]);
      takeIn(o, blocks[index], hop, chunk);
      const following = blocks[index + ring.blocksUnderWay];
      if (hop + 1 < ring.hopCount(o.worldSize)) {
        send(Object.assign(chunk, { hop: hop + 1 }));
        continue;
      }
      releaseChunk(chunk);
      if (following !== undefined) send(firstChunk(o, following));
    }
    await Promise.race([Promise.all(outgoing), breakage.promise]);
  } finally {
    breakage.close();
  }
}

/** The order in which every rank's chunks arrive: block i + blocksUnderWay sets out when block i has come home. */
export function* arrivals(blockCount: number, worldSize: number): Generator<{ index: number; hop: number }> {
  for (let first = 0; first < blockCount; first += ring.blocksUnderWay) {
    const end = Math.min(first + ring.blocksUnderWay, blockCount);
    for (let hop = 0; hop < ring.hopCount(worldSize); hop += 1) {
      for (let index = first; index < end; index += 1) yield { index, hop };
    }
  }
}

/** This rank's own part of a block, on its first hop. */
function firstChunk(o: Round, block: ring.Block): FramedChunk {
  const { offset, count } = ring.segmentOf(block, o.worldSize, ring.sentSegment(o.rank, o.worldSize, 0));
  const { generation, round } = o;
  const header = { generation, round, hop: 0, offset, count, wireType: wireTypes[block.wire] };
  const chunk = allocateChunk(header, count * ring.elementBytes[block.wire]);
  segmentCodecs[block.wire].write(o.vector, offset, chunk.payload);
  return chunk;
}

/** Adds this rank's part to a partial sum, in the chunk; stores a finished sum in the vector. */
function takeIn(o: Round, block: ring.Block, hop: number, chunk: FramedChunk): void {
  const index = ring.receivedSegment(o.rank, o.worldSize, hop);
  const { offset, count } = ring.segmentOf(block, o.worldSize, index);
  checkChunk(o, chunk, { hop, offset, count, wire: block.wire });
  const codec = segmentCodecs[block.wire];
  if (ring.addsAt(hop, o.worldSize)) codec.add(o.vector, offset, chunk.payload);
  if (ring.finishesAt(hop, o.worldSize)) codec.store(o.vector, offset, chunk.payload);
}

function checkChunk(
  o: Round,
  chunk: FramedChunk,
  due: { hop: number; offset: number; count: number; wire: FloatType },
): void {
  const from = `rank ${ring.predecessorOf(o.rank, o.worldSize)}`;
  if (chunk.generation !== o.generation) {
    const text = `a chunk of generation ${chunk.generation} from ${from} came in generation ${o.generation}`;
    throw new RondoError('aborted', text);
  }
  const isDue =
    chunk.round === o.round &&
    chunk.hop === due.hop &&
    chunk.offset === due.offset &&
    chunk.count === due.count &&
    chunk.wireType === wireTypes[due.wire] &&
    chunk.payload.byteLength === due.count * ring.elementBytes[due.wire];
  if (isDue) return;
  const came = `round ${chunk.round}, hop ${chunk.hop}, elements ${chunk.offset} + ${chunk.count}, wire type ${chunk.wireType}, ${chunk.payload.byteLength} bytes`;
  const wanted = `round ${o.round}, hop ${due.hop}, elements ${due.offset} + ${due.count}, wire type ${wireTypes[due.wire]}`;
  throw new RondoError(
    'data-loss',
    `the chunk from ${from} is not the one that is due: ${came}; due: ${wanted}`,
    {
      remedy: 'All workers of a run must have the same version and the same run configuration.',
    },
  );
}

function roundInPlace(vector: Float32Array, block: ring.Block): void {
  if (block.wire === 'float32') return;
  const payload = new Uint8Array(block.count * ring.elementBytes[block.wire]);
  segmentCodecs[block.wire].write(vector, block.offset, payload);
  segmentCodecs[block.wire].store(vector, block.offset, payload);
}

/** A promise that only ever rejects: when the signal aborts, or with what is reported first. */
function watchBreakage(signal: AbortSignal) {
  let report: (error: unknown) => void = () => {};
  const promise = new Promise<never>((_, reject) => {
    report = reject;
  });
  promise.catch(() => {});
  const onAbort = () => report(abortion(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  return { promise, report, close: () => signal.removeEventListener('abort', onAbort) };
}

function abortion(signal: AbortSignal): RondoError {
  if (signal.reason instanceof RondoError) return signal.reason;
  return new RondoError('aborted', 'the all-reduce was aborted', { cause: signal.reason });
}
