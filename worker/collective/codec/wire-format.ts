import assert from 'node:assert/strict';
import { endianness } from 'node:os';
import { Chunk, PeerService, WireType } from '../../../proto/gen/peer.js';
import { serializeStateChunk } from '../../../proto/state-chunk.js';
import { RondoError } from '../../../runtime/errors.js';
import { chunkBytes, type PayloadType } from '../geometry.js';
import { giveFrame, takeFrame } from './frame-pool.js';

/**
 * A chunk whose payload lies in one buffer with room for its header before it. It is built once, summed into
 * in place, and travels on without being copied by us; handing it to a link transfers its ownership.
 *
 * The header is protobuf (peer.proto's Chunk) with every varint padded to a fixed width, which any reader
 * accepts. It is 43 bytes long: with room for gRPC's own 5 before it, payloads lie on 16 bytes.
 */
export interface FramedChunk extends Chunk {
  /** Header and payload. */
  readonly frame: Buffer;
}

/** A chunk that only says where its payload lies. */
export interface ChunkInSlot extends Chunk {
  readonly slot: number;
}

export const headerBytes = 43;

/** Tag byte and varint width of each field, in order. */
const fields = [
  { tag: 0x08, width: 8 },
  { tag: 0x10, width: 7 },
  { tag: 0x18, width: 5 },
  { tag: 0x20, width: 5 },
  { tag: 0x28, width: 5 },
  { tag: 0x30, width: 1 },
  { tag: 0x3a, width: 5 },
] as const;

assert.equal(endianness(), 'LE', 'payloads are little-endian, and so must the machine be');

export type ChunkHeader = Omit<Chunk, 'payload' | 'slot'>;

/** A chunk with an uninitialised payload of `payloadBytes` bytes. */
export function allocateChunk(header: ChunkHeader, payloadBytes: number): FramedChunk {
  return frameOf(header, takeFrame(headerBytes + payloadBytes));
}

/** Gives a chunk's memory back for the next one. Only its last owner may, once. */
export function releaseChunk({ frame }: FramedChunk): void {
  giveFrame(frame);
}

function frameOf(header: ChunkHeader, frame: Buffer): FramedChunk {
  const { generation, round, hop, offset, count, wireType } = header;
  const payload = frame.subarray(headerBytes);
  return { generation, round, hop, offset, count, wireType, payload, frame };
}

/** gRPC's serializer: writes the header before the payload; copies only a payload that has no frame. */
export function serializeChunk(chunk: Chunk): Buffer {
  if (chunk.slot !== undefined) return Buffer.from(Chunk.encode(chunk).finish());
  const framed = 'frame' in chunk ? (chunk as FramedChunk) : withFrame(chunk);
  const { frame, generation, round, hop, offset, count, wireType, payload } = framed;
  const values = [generation, round, hop, offset, count, wireType, payload.byteLength];
  let at = 0;
  for (const [index, { tag, width }] of fields.entries()) {
    frame[at] = tag;
    writeVarint(frame, at + 1, width, Number(values[index]));
    at += 1 + width;
  }
  return frame;
}

/**
 * gRPC's deserializer. The message is copied once, to where the kernels reach it; one whose header is not
 * ours is read by the generated codec, and so is one that names a slot.
 */
export function deserializeChunk(message: Buffer): FramedChunk | ChunkInSlot {
  const values = readHeader(message);
  if (values === null) {
    const chunk = Chunk.decode(message);
    return inSlot(chunk) ? chunk : withFrame(chunk);
  }
  const frame = takeFrame(message.length);
  message.copy(frame);
  return frameOf(headerOf(values), frame);
}

/**
 * A chunk of which only the header has come, the first `headerBytes` of what `serializeChunk` writes.
 *
 * @throws RondoError `data-loss` for what is no header of ours, or of a longer chunk than there are.
 */
export function beginChunk(header: Buffer): FramedChunk {
  const values = readFields(header);
  const payloadBytes = values?.at(-1) ?? Number.POSITIVE_INFINITY;
  if (values === null || payloadBytes > chunkBytes) {
    throw new RondoError('data-loss', 'what came is no chunk of the ring', {
      remedy: 'All workers of a run must have the same version.',
    });
  }
  return allocateChunk(headerOf(values), payloadBytes);
}

function headerOf([generation, round, hop, offset, count, wireType]: number[]): ChunkHeader {
  return {
    generation: BigInt(generation!),
    round: BigInt(round!),
    hop: hop!,
    offset: offset!,
    count: count!,
    wireType: wireType!,
  };
}

function inSlot(chunk: Chunk): chunk is ChunkInSlot {
  return chunk.slot !== undefined;
}

function withFrame(chunk: Chunk): FramedChunk {
  const framed = allocateChunk(chunk, chunk.payload.byteLength);
  framed.payload.set(chunk.payload);
  return framed;
}

function readHeader(message: Buffer): number[] | null {
  if (message.byteLength < headerBytes) return null;
  const values = readFields(message);
  return values?.at(-1) === message.byteLength - headerBytes ? values : null;
}

function readFields(message: Buffer): number[] | null {
  const values: number[] = [];
  let at = 0;
  for (const { tag, width } of fields) {
    const value = message[at] === tag ? readVarint(message, at + 1, width) : null;
    if (value === null) return null;
    values.push(value);
    at += 1 + width;
  }
  return values;
}

function writeVarint(frame: Buffer, at: number, width: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0 && value < 2 ** (7 * width), `${value} does not fit`);
  let rest = value;
  for (let i = 0; i < width - 1; i += 1) {
    frame[at + i] = 0x80 | (rest % 128);
    rest = Math.floor(rest / 128);
  }
  frame[at + width - 1] = rest;
}

/** Null when the varint is not exactly `width` bytes wide, or beyond what a number holds. */
function readVarint(message: Buffer, at: number, width: number): number | null {
  let value = 0;
  for (let i = width - 1; i >= 0; i -= 1) {
    const byte = message[at + i];
    if (byte >= 0x80 !== i < width - 1) return null;
    value = value * 128 + (byte & 0x7f);
  }
  return Number.isSafeInteger(value) ? value : null;
}

/**
 * peer.proto's service with codecs that copy bulk data once: what peer servers and pulling clients are made
 * with.
 */
export const peerService = {
  ...PeerService,
  exchange: {
    ...PeerService.exchange,
    responseSerialize: serializeChunk,
    responseDeserialize: deserializeChunk,
  },
  copyState: { ...PeerService.copyState, responseSerialize: serializeStateChunk },
};

export const wireTypes: Record<PayloadType, WireType> = {
  int32: WireType.WIRE_TYPE_INT32,
  float32: WireType.WIRE_TYPE_FLOAT32,
  bfloat16: WireType.WIRE_TYPE_BFLOAT16,
};
