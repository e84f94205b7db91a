import { WireType } from '../../proto/gen/peer.js';
import { RondoError } from '../../runtime/errors.js';
import { watchBreakage } from './breakage.js';
import { allocateChunk, type FramedChunk, releaseChunk } from './codec/wire-format.js';
import { predecessorOf, receivedSegment } from './geometry.js';
import type { IncomingChunk, Link } from './transport/link.js';

export interface GatherOptions {
  readonly link: Link;
  readonly generation: bigint;
  readonly rank: number;
  readonly worldSize: number;
  /** Counts what is gathered in a generation, and begins anew with every use of the link. */
  readonly round: bigint;
  readonly signal: AbortSignal;
}

/** What a message carries at most. */
const pieceBytes = 1 << 20;

/**
 * Every rank's `bytes`, by rank: what each brings goes once around the ring. All ranks call it; nobody has the
 * answer before all have, so that without bytes it is a barrier.
 *
 * @throws RondoError: the link's own; `data-loss` for what is not the message due, the signal's reason when
 *   the signal aborts.
 */
export async function gather(o: GatherOptions, bytes: Uint8Array): Promise<Uint8Array[]> {
  const gathered = Array.from({ length: o.worldSize }, () => bytes);
  if (o.worldSize === 1) return gathered;
  const outgoing: Promise<void>[] = [];
  const breakage = watchBreakage(o.signal);
  const send = (hop: number, whole: Uint8Array) => {
    for (const payload of piecesOf(whole)) {
      const sent = o.link.send(frameOf(payload, whole, hop, o));
      sent.catch(breakage.report);
      outgoing.push(sent);
    }
  };
  const receive = async (hop: number) => {
    const first = readMessage(
      await Promise.race([o.link.receive(), breakage.promise]),
      { hop, offset: 0 },
      o,
    );
    const whole = new Uint8Array(first.count);
    let offset = 0;
    for (let piece = first; ; ) {
      whole.set(piece.payload, offset);
      offset += piece.payload.byteLength;
      releaseChunk(piece);
      if (offset >= whole.byteLength) return whole;
      piece = readMessage(await Promise.race([o.link.receive(), breakage.promise]), { hop, offset }, o);
    }
  };
  try {
    send(0, bytes);
    for (let hop = 0; hop < o.worldSize - 1; hop += 1) {
      const whole = await receive(hop);
      gathered[receivedSegment(o.rank, o.worldSize, hop)] = whole;
      if (hop < o.worldSize - 2) send(hop + 1, whole);
    }
    await Promise.race([Promise.all(outgoing), breakage.promise]);
    return gathered;
  } finally {
    breakage.close();
  }
}

/** At least one, though it be empty. */
function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  let start = 0;
  do {
    yield bytes.subarray(start, start + pieceBytes);
    start += pieceBytes;
  } while (start < bytes.byteLength);
}

function frameOf(payload: Uint8Array, whole: Uint8Array, hop: number, o: GatherOptions): FramedChunk {
  const { generation, round } = o;
  const place = { offset: payload.byteOffset - whole.byteOffset, count: whole.byteLength };
  const header = { generation, round, hop, ...place, wireType: WireType.WIRE_TYPE_BYTES };
  const chunk = allocateChunk(header, payload.byteLength);
  chunk.payload.set(payload);
  return chunk;
}

function readMessage(
  chunk: IncomingChunk,
  due: { readonly hop: number; readonly offset: number },
  o: GatherOptions,
): FramedChunk {
  const { generation, round, hop, offset, wireType } = chunk;
  const isDue =
    'frame' in chunk &&
    generation === o.generation &&
    round === o.round &&
    hop === due.hop &&
    offset === due.offset &&
    wireType === WireType.WIRE_TYPE_BYTES &&
    chunk.payload.byteLength === Math.min(pieceBytes, chunk.count - offset);
  if (isDue) return chunk;
  const sender = predecessorOf(o.rank, o.worldSize);
  const came = `generation ${generation}, round ${round}, hop ${hop}, bytes from ${offset} on, wire type ${wireType}`;
  const wanted = `generation ${o.generation}, round ${o.round}, hop ${due.hop}, bytes from ${due.offset} on, wire type ${WireType.WIRE_TYPE_BYTES}`;
  throw new RondoError(
    'data-loss',
    `rank ${sender} sent another message than is due: ${came}; due: ${wanted}`,
    {
      remedy: 'All workers of a run must have the same version and the same run configuration.',
    },
  );
}
