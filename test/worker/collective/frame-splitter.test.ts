import { describe, expect, it } from 'vitest';
import { createFrameSplitter } from '../../../worker/collective/frame-splitter.js';

function frame(type: number, flags: number, streamId: number, payload: readonly number[]): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, Buffer.from(payload)]);
}

/** What comes out on both sides of bytes that come in pieces. */
function split(pieces: readonly Buffer[]) {
  const data: Buffer[] = [];
  const rest: Buffer[] = [];
  const feed = createFrameSplitter({
    onData: (bytes) => data.push(Buffer.from(bytes)),
    onRest: (bytes) => rest.push(Buffer.from(bytes)),
  });
  for (const piece of pieces) feed(piece);
  return { data: Buffer.concat(data), rest: Buffer.concat(rest) };
}

const settings = frame(4, 0, 0, [0, 4, 0, 1, 0, 0]);
const headers = frame(1, 4, 1, [0x88, 1, 2, 3]);
const acknowledged = frame(4, 1, 0, []);
const trailers = frame(1, 5, 1, [9, 9]);
const stream = Buffer.concat([
  ...[settings, headers, frame(0, 0, 1, [1, 2, 3]), frame(0, 0, 1, []), acknowledged],
  ...[
    frame(0, 0, 1, [4]),
    frame(
      0,
      0,
      1,
      Array.from({ length: 300 }, (_, i) => i % 256),
    ),
    trailers,
  ],
]);

describe('the frame splitter', () => {
  it.each([1, 2, 7, 9, 10, 100, stream.length])('parts data from the rest in pieces of %i bytes', (size) => {
    const count = Math.ceil(stream.length / size);
    const pieces = Array.from({ length: count }, (_, i) => stream.subarray(i * size, (i + 1) * size));
    const { data, rest } = split(pieces);
    expect([...data]).toEqual([1, 2, 3, 4, ...Array.from({ length: 300 }, (_, i) => i % 256)]);
    expect(rest).toEqual(Buffer.concat([settings, headers, acknowledged, trailers]));
  });

  it('leaves the end of a stream in the rest when a DATA frame bears it', () => {
    const { data, rest } = split([frame(0, 1, 1, [5, 6])]);
    expect([...data]).toEqual([5, 6]);
    expect(rest).toEqual(frame(0, 1, 1, []));
  });

  it('refuses padding', () => {
    expect(() => split([frame(0, 8, 1, [1, 5, 0])])).toThrow(expect.objectContaining({ code: 'data-loss' }));
  });
});
