import { WireType } from '../../proto/gen/peer.js';
import { RondoError } from '../../runtime/errors.js';
import { watchBreakage } from './breakage.js';
import { allocateChunk, releaseChunk } from './codec/wire-format.js';
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

/**
 * Every rank's few `bytes`, by rank: what each brings goes once around the ring. All ranks call it; nobody
 * has the answer before all have, so that without bytes it is a barrier.
 *
 * @throws RondoError: the link's own; `data-loss` for what is not the message due, the signal's reason when
 *   the signal aborts.
 */
export async function gather(o: GatherOptions, bytes: Uint8Array): Promise<Uint8Array[]> {
  const gathered = Array.from({ length: o.worldSize }, () => bytes);
  if (o.worldSize === 1) return gathered;
  const outgoing: Promise<void>[] = [];
  const breakage = watchBreakage(o.signal);
  const send = (hop: number, payload: Uint8Array) => {
    const { generation, round } = o;
    const count = payload.byteLength;
    const header = { generation, round, hop, offset: 0, count, wireType: WireType.WIRE_TYPE_BYTES };
    const chunk = allocateChunk(header, count);
    chunk.payload.set(payload);
    const sent = o.link.send(chunk);
    sent.catch(breakage.report);
    outgoing.push(sent);
  };
  try {
    send(0, bytes);
    for (let hop = 0; hop < o.worldSize - 1; hop += 1) {
      const payload = readMessage(await Promise.race([o.link.receive(), breakage.promise]), hop, o);
      gathered[receivedSegment(o.rank, o.worldSize, hop)] = payload;
      if (hop < o.worldSize - 2) send(hop + 1, payload);
    }
    await Promise.race([Promise.all(outgoing), breakage.promise]);
    return gathered;
  } finally {
    breakage.close();
  }
}

function readMessage(chunk: IncomingChunk, hop: number, o: GatherOptions): Uint8Array {
  const { generation, round, wireType } = chunk;
  const isDue =
    'frame' in chunk &&
    generation === o.generation &&
    round === o.round &&
    chunk.hop === hop &&
    wireType === WireType.WIRE_TYPE_BYTES;
  if (!isDue) {
    const sender = predecessorOf(o.rank, o.worldSize);
    const came = `generation ${generation}, round ${round}, hop ${chunk.hop}, wire type ${wireType}`;
    const due = `generation ${o.generation}, round ${o.round}, hop ${hop}, wire type ${WireType.WIRE_TYPE_BYTES}`;
    throw new RondoError(
      'data-loss',
      `rank ${sender} sent another message than is due: ${came}; due: ${due}`,
      {
        remedy: 'All workers of a run must have the same version and the same run configuration.',
      },
    );
  }
  const payload = Uint8Array.from(chunk.payload);
  releaseChunk(chunk);
  return payload;
}
