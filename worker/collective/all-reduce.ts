import assert from 'node:assert/strict';
import type { FloatType } from '../../plan/run-config.js';
import { RondoError } from '../../runtime/errors.js';
import { watchBreakage } from './breakage.js';
import { allocateChunk, releaseChunk, wireTypes } from './codec/wire-format.js';
import { gather } from './gather.js';
import * as ring from './geometry.js';
import { passSegment } from './pass-segment.js';
import { countRounds, type Ring } from './rounds.js';
import type { IncomingChunk, Link, OutgoingChunk } from './transport/link.js';

export interface RingOptions {
  readonly rank: number;
  readonly worldSize: number;
  readonly generation: bigint;
  /** What finished sums travel as, and are rounded to. */
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
  return countRounds({
    allReduce: (vector, call) => runRound({ lane: onlyLane, ...o, vector, ...call }),
    allGather: (bytes, call) => gather({ ...o, ...call }, bytes),
  });
}

interface Round {
  readonly rank: number;
  readonly worldSize: number;
  readonly generation: bigint;
  readonly link: Link;
  readonly wire: FloatType;
  readonly lane: Lane;
  readonly vector: Float32Array;
  readonly round: bigint;
  readonly signal: AbortSignal;
}

async function runRound(o: Round): Promise<void> {
  const cut = ring.cutBlocks(o.vector.length, o.worldSize);
  const blocks = cut.filter((_, index) => index % o.lane.count === o.lane.index);
  if (o.worldSize === 1) {
    for (const block of blocks) passSegment({ ...block, ...passOf(o), role: 'finish' }, null, null);
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
  const chunk = outgoingChunk(o.link, dueAt(o, segment, 0), null);
  passSegment({ ...segment, ...passOf(o), role: 'start' }, null, chunk);
  return chunk;
}

/**
 * Does this rank's part in a chunk that came: adds, keeps what is finished. Returns what goes on to the next
 * rank, if it does.
 */
function passOn(o: Round, block: ring.Block, hop: number, chunk: IncomingChunk): OutgoingChunk | null {
  const segment = ring.segmentOf(block, o.worldSize, ring.receivedSegment(o.rank, o.worldSize, hop));
  checkChunk(chunk, dueAt(o, segment, hop), ring.predecessorOf(o.rank, o.worldSize));
  const isLast = hop + 1 === ring.hopCount(o.worldSize);
  const next = isLast ? null : outgoingChunk(o.link, dueAt(o, segment, hop + 1), chunk);
  passSegment({ ...segment, ...passOf(o), role: ring.roleAt(hop, o.worldSize) }, chunk, next);
  if ('room' in chunk) chunk.room.release();
  else if (next !== chunk) releaseChunk(chunk);
  return next;
}

function passOf({ vector, wire }: Round) {
  return { vector, wire };
}

/** What one hop's chunk of a round is about. */
interface Due {
  readonly generation: bigint;
  readonly round: bigint;
  readonly hop: number;
  /** First element in the vector, and how many. */
  readonly offset: number;
  readonly count: number;
  readonly payload: ring.PayloadType;
}

function dueAt({ generation, round, worldSize, wire }: Round, segment: ring.Segment, hop: number): Due {
  return { ...segment, generation, round, hop, payload: ring.payloadAt(hop, worldSize, wire) };
}

/** A chunk in shared memory if there is room, else in the frame that came, else in one from the pool. */
function outgoingChunk(link: Link, due: Due, came: IncomingChunk | null): OutgoingChunk {
  const { payload, ...place } = due;
  const header = { ...place, wireType: wireTypes[payload] };
  const bytes = due.count * ring.elementBytes[payload];
  const room = link.takeSlot(bytes);
  if (room !== null) return { ...header, payload: nothing, slot: room.index, room };
  if (came !== null && 'frame' in came && came.payload.byteLength === bytes) {
    return Object.assign(came, { hop: header.hop, wireType: header.wireType });
  }
  return allocateChunk(header, bytes);
}

const nothing = new Uint8Array(0);

/**
 * @throws RondoError `aborted` for a chunk of another generation, `data-loss` for one that is not the one
 * that is due.
 */
function checkChunk(chunk: IncomingChunk, due: Due, sender: number): void {
  const from = `rank ${sender}`;
  if (chunk.generation !== due.generation) {
    const text = `a chunk of generation ${chunk.generation} from ${from} came in generation ${due.generation}`;
    throw new RondoError('aborted', text);
  }
  const isDue =
    chunk.round === due.round &&
    chunk.hop === due.hop &&
    chunk.offset === due.offset &&
    chunk.count === due.count &&
    chunk.wireType === wireTypes[due.payload] &&
    ('room' in chunk || chunk.payload.byteLength === due.count * ring.elementBytes[due.payload]);
  if (isDue) return;
  const came = `round ${chunk.round}, hop ${chunk.hop}, elements ${chunk.offset} + ${chunk.count}, wire type ${chunk.wireType}, ${chunk.payload.byteLength} bytes`;
  const wanted = `round ${due.round}, hop ${due.hop}, elements ${due.offset} + ${due.count}, wire type ${wireTypes[due.payload]}`;
  throw new RondoError(
    'data-loss',
    `the chunk from ${from} is not the one that is due: ${came}; due: ${wanted}`,
    {
      remedy: 'All workers of a run must have the same version and the same run configuration.',
    },
  );
}
