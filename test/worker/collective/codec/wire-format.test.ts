import assert from 'node:assert/strict';
import { describe, expect, it } from 'vitest';
import { Chunk, WireType } from '../../../../proto/gen/peer.js';
import { poolMemory } from '../../../../worker/collective/codec/frame-pool.js';
import {
  allocateChunk,
  deserializeChunk,
  releaseChunk,
  serializeChunk,
} from '../../../../worker/collective/codec/wire-format.js';

const chunks: Chunk[] = [
  {
    generation: 1n,
    round: 0n,
    hop: 0,
    offset: 0,
    count: 3,
    wireType: WireType.WIRE_TYPE_BFLOAT16,
    payload: Uint8Array.of(1, 2, 3, 4, 5, 6),
  },
  {
    generation: 2n ** 49n - 1n,
    round: 2n ** 40n + 77n,
    hop: 300,
    offset: 0xffffffff,
    count: 0x80000000,
    wireType: WireType.WIRE_TYPE_FLOAT32,
    payload: Uint8Array.from({ length: 1000 }, (_, i) => i),
  },
  {
    generation: 0n,
    round: 0n,
    hop: 0,
    offset: 0,
    count: 0,
    wireType: WireType.WIRE_TYPE_UNSPECIFIED,
    payload: new Uint8Array(0),
  },
];

function plain(chunk: Chunk): Chunk {
  const { generation, round, hop, offset, count, wireType, payload } = chunk;
  return { generation, round, hop, offset, count, wireType, payload: Uint8Array.from(payload) };
}

function framed(chunk: Chunk) {
  const copy = allocateChunk(chunk, chunk.payload.byteLength);
  copy.payload.set(chunk.payload);
  return copy;
}

describe('the chunk serializer', () => {
  it.each(chunks)('writes what the generated codec reads (generation $generation)', (chunk) => {
    expect(plain(Chunk.decode(serializeChunk(framed(chunk))))).toEqual(chunk);
    expect(plain(Chunk.decode(serializeChunk(chunk)))).toEqual(chunk);
  });

  it.each(chunks)('reads what the generated codec writes (generation $generation)', (chunk) => {
    const read = deserializeChunk(Buffer.from(Chunk.encode(chunk).finish()));
    expect(plain(read)).toEqual(chunk);
    expect(read.payload.byteOffset % 4).toBe(0);
  });

  it.each(chunks)('reads what it wrote, to where kernels reach it (generation $generation)', (chunk) => {
    const read = deserializeChunk(serializeChunk(framed(chunk)));
    assert('frame' in read);
    expect(plain(read)).toEqual(chunk);
    expect(read.payload.buffer).toBe(poolMemory);
    expect(read.payload.byteOffset % 16).toBe(0);
    releaseChunk(read);
  });

  it('writes the header that the chunk has by then, without copying the payload', () => {
    const chunk = framed(chunks[0]);
    chunk.hop = 5;
    const message = serializeChunk(chunk);
    expect(message).toBe(chunk.frame);
    expect(Chunk.decode(message).hop).toBe(5);
  });

  it('writes and reads a slot instead of a payload, and takes no frame for it', () => {
    const chunk = { ...chunks[1], payload: new Uint8Array(0), slot: 0 };
    const message = serializeChunk(chunk);
    expect(Chunk.decode(message)).toEqual(chunk);
    expect(deserializeChunk(message)).toEqual(chunk);
    expect('frame' in deserializeChunk(message)).toBe(false);
  });

  it('refuses bytes that are no chunk', () => {
    const message = Buffer.from(Chunk.encode(chunks[1]).finish());
    expect(() => deserializeChunk(message.subarray(0, message.length - 1))).toThrow();
  });
});
