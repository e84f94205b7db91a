import { describe, expect, it } from 'vitest';
import { Chunk } from '../../../proto/gen/peer.js';
import { createMessageAssembler } from '../../../worker/collective/message-assembler.js';
import { type FramedChunk, wireTypes } from '../../../worker/collective/wire-format.js';

function encode(round: number, payloadBytes: number): Buffer {
  const payload = Uint8Array.from({ length: payloadBytes }, (_, i) => (i * 7 + round) % 256);
  const header = { generation: 3n, round: BigInt(round), hop: 1, offset: 0, count: payloadBytes / 4 };
  const message = Chunk.encode({ ...header, wireType: wireTypes.float32, payload }).finish();
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([prefix, message]);
}

function assemble(pieces: readonly Buffer[], maxBytes = 10_000): FramedChunk[] {
  const chunks: FramedChunk[] = [];
  const feed = createMessageAssembler({ maxBytes, onMessage: (chunk) => chunks.push(chunk) });
  for (const piece of pieces) feed(piece);
  return chunks;
}

describe('the message assembler', () => {
  const sizes = [400, 0, 4, 5000];
  const stream = Buffer.concat(sizes.map((size, round) => encode(round, size)));

  it.each([1, 4, 5, 6, 1000, stream.length])('puts messages together from pieces of %i bytes', (size) => {
    const count = Math.ceil(stream.length / size);
    const chunks = assemble(
      Array.from({ length: count }, (_, i) => stream.subarray(i * size, (i + 1) * size)),
    );
    expect(chunks.map(({ round }) => Number(round))).toEqual([0, 1, 2, 3]);
    for (const [round, chunk] of chunks.entries()) {
      expect([...chunk.payload]).toEqual(
        Array.from({ length: sizes[round] }, (_, i) => (i * 7 + round) % 256),
      );
    }
  });

  it('takes an empty message for a chunk of defaults', () => {
    expect(assemble([Buffer.alloc(5)])).toMatchObject([{ generation: 0n, count: 0 }]);
  });

  it('refuses a message that is too long before it comes, and a compressed one', () => {
    const refused = expect.objectContaining({ code: 'data-loss' });
    expect(() => assemble([Buffer.of(0, 0, 0, 40, 0)])).toThrow(refused);
    expect(() => assemble([Buffer.of(1, 0, 0, 0, 4)])).toThrow(refused);
  });
});
