import { expect, it } from 'vitest';
import {
  allocateChunk,
  type FramedChunk,
  serializeChunk,
  wireTypes,
} from '../../../../../worker/collective/codec/wire-format.js';
import { chunkBytes } from '../../../../../worker/collective/geometry.js';
import { createChunkReader } from '../../../../../worker/collective/transport/grpc/chunk-reader.js';

function chunkOf(round: number, payloadBytes: number): FramedChunk {
  const header = { generation: 3n, hop: 1, offset: 7, count: payloadBytes / 4, wireType: wireTypes.int32 };
  const chunk = allocateChunk({ ...header, round: BigInt(round) }, payloadBytes);
  for (let at = 0; at < payloadBytes; at += 1) chunk.payload[at] = (at * 31 + round) % 251;
  return chunk;
}

/** Reads `bytes` as they come, at most `step` at a time. */
function read(bytes: Buffer, step: number): FramedChunk[] {
  const reader = createChunkReader();
  const chunks: FramedChunk[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const room = reader.room();
    expect(room.byteLength).toBeGreaterThan(0);
    const part = bytes.subarray(at, at + Math.min(step, room.byteLength));
    room.set(part);
    at += part.byteLength;
    const chunk = reader.filled(part.byteLength);
    if (chunk !== null) chunks.push(chunk);
  }
  return chunks;
}

it.each([1, 42, 43, 44, 1000, 1 << 20])('reads chunks that come %i bytes at a time', (step) => {
  const sent = [0, 4, 0, 1000, 4096].map((payloadBytes, round) => chunkOf(round, payloadBytes));
  const came = read(Buffer.concat(sent.map(serializeChunk)), step);
  const plain = ({ frame: _, ...chunk }: FramedChunk) => ({ ...chunk, payload: Buffer.from(chunk.payload) });
  expect(came.map(plain)).toEqual(sent.map(plain));
});

it('refuses what is no chunk, and one that is longer than there are', () => {
  expect(() => read(Buffer.alloc(43), 43)).toThrow(/no chunk of the ring/);
  expect(() => read(Buffer.from('x'.repeat(43)), 43)).toThrow(/no chunk of the ring/);
  const long = serializeChunk(chunkOf(0, chunkBytes + 4)).subarray(0, 43);
  expect(() => read(long, 43)).toThrow(/no chunk of the ring/);
  expect(read(serializeChunk(chunkOf(0, chunkBytes)), 1 << 20)).toHaveLength(1);
});
