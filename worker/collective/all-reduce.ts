import assert from 'node:assert/strict';
import type { FloatType } from '../../plan/run-config.js';
import { watchBreakage } from './breakage.js';
import { allocateChunk, releaseChunk, wireTypes } from './codec/wire-format.js';
import { checkChunk, type Due } from './due-chunk.js';
import * as ring from './geometry.js';
import { passSegment } from './pass-segment.js';
import { countRounds, type Ring } from './rounds.js';
import type { IncomingChunk, Link, OutgoingChunk } from './transport/link.js';

export interface RingOptions {
  readonly rank: number;
  readonly worldSize: number;
  readonly generation: bigint;
  readonly wire: FloatType;
  /**
   * Which of how many lanes this is: it sums every `count`th block of a vector. All of them without lanes.
   */
  readonly lane?: Lane;
}

export interface Lane {
  readonly index: number;
  readonly count: number;
}

const onlyLane: Lane = { index: 0, count: 1 };

export function createRing(o: RingOptions & { link: Link }): Ring {
  assert(o.rank >= 0 && o.rank < o.worldSize, `rank ${o.rank} of ${o.worldSize}`);
  return countRounds((vector, call) => runRound({ lane: onlyLane, ...o, vector, ...call }));
}

interface Round {
  readonly rank: number;
  readonly worldSize: number;
  readonly generation: bigint;
  readonly link: Link;
  readonly wire: FloatType;
  readonly lane: Lane;
  readonly vector: Float32Array;
  readonly exactFrom: number;
  readonly round: bigint;
  readonly signal: AbortSignal;
}

async function runRound(o: Round): Promise<void> {
  const cut = ring.cutBlocks({ ...o, length: o.vector.length });
  const blocks = cut.filter((_, index) => index % o.lane.count === o.lane.index);
  if (o.worldSize === 1) {
    for (const block of blocks)
      passSegment({ ...block, vector: o.vector, adds: false, finishes: true }, null, null);
    return;
  }
  const outgoing: Promise<void>[] = [];
  const breakage = watchBreakage(o.signal);
  const send = (chunk: OutgoingChunk) => {
    const sent = o.link.send(chunk);
    sent.catch(breakage.report);
    outgoing.push(sent);
  };
  try {
    for (const block of blocks.slice(0, ring.blocksUnderWay)) send(startBlock(o, block));
    for (const { index, hop } of arrivals(blocks.length, o.worldSize)) {
      const chunk = await Promise.race([o.link.receive(), breakage.promise]);
      const next = passOn(o, blocks[index], hop, chunk);
      if (next !== null) send(next);
      const following = blocks[index + ring.blocksUnderWay];
      if (next === null && following !== undefined) send(startBlock(o, following));
    }
    await Promise.race([Promise.all(outgoing), breakage.promise]);
  } finally {
    breakage.close();
  }
}

/**
 * The order in which every rank's chunks arrive: block i + blocksUnderWay starts when block i is finished.
 */
export function* arrivals(blockCount: number, worldSize: number): Generator<{ index: number; hop: number }> {
  for (let first = 0; first < blockCount; first += ring.blocksUnderWay) {
    const end = Math.min(first + ring.blocksUnderWay, blockCount);
    for (let hop = 0; hop < ring.hopCount(worldSize); hop += 1) {
      for (let index = first; index < end; index += 1) yield { index, hop };
    }
  }
}

/** This rank's own part of a block, on its first hop. */
function startBlock(o: Round, block: ring.Block): OutgoingChunk {
  const segment = ring.segmentOf(block, o.worldSize, ring.sentSegment(o.rank, o.worldSize, 0));
  const { generation, round } = o;
  const chunk = outgoingChunk(o.link, { ...segment, generation, round, hop: 0, wire: block.wire }, null);
  const pass = { ...segment, vector: o.vector, wire: block.wire, adds: false, finishes: false };
  passSegment(pass, null, chunk);
  return chunk;
}

/**
 * Does this rank's part in a chunk that came: adds, keeps what is finished. Returns what goes on to the next
 * rank, if it does.
 */
function passOn(o: Round, block: ring.Block, hop: number, chunk: IncomingChunk): OutgoingChunk | null {
  const segment = ring.segmentOf(block, o.worldSize, ring.receivedSegment(o.rank, o.worldSize, hop));
  const { generation, round } = o;
  const due = { ...segment, generation, round, hop, wire: block.wire };
  checkChunk(chunk, due, ring.predecessorOf(o.rank, o.worldSize));
  const isLast = hop + 1 === ring.hopCount(o.worldSize);
  const next = isLast ? null : outgoingChunk(o.link, { ...due, hop: hop + 1 }, chunk);
  const adds = ring.addsAt(hop, o.worldSize);
  const finishes = ring.finishesAt(hop, o.worldSize);
  passSegment({ ...segment, vector: o.vector, wire: block.wire, adds, finishes }, chunk, next);
  if ('room' in chunk) chunk.room.release();
  else if (next !== chunk) releaseChunk(chunk);
  return next;
}

/** A chunk in shared memory if there is room, else in the frame that came, else in one from the pool. */
function outgoingChunk(link: Link, due: Due, came: IncomingChunk | null): OutgoingChunk {
  const { wire, ...place } = due;
  const header = { ...place, wireType: wireTypes[wire] };
  const bytes = due.count * ring.elementBytes[wire];
  const room = link.takeSlot(bytes);
  if (room !== null) return { ...header, payload: nothing, slot: room.index, room };
  if (came !== null && 'frame' in came) return Object.assign(came, { hop: due.hop });
  return allocateChunk(header, bytes);
}

const nothing = new Uint8Array(0);
