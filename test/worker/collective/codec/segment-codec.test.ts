import { afterEach, describe, expect, it } from 'vitest';
import { giveFrame, takeFrame } from '../../../../worker/collective/codec/frame-pool.js';
import { segmentCodecs } from '../../../../worker/collective/codec/segment-codec.js';

/** bfloat16 by definition: of the two neighbours the nearer, of equals the one with an even last bit. */
function roundToBfloat16(value: number): number {
  if (!Number.isFinite(value) || value === 0) return value;
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  const unit = 2 ** (Math.max(exponent, -126) - 7);
  const scaled = value / unit;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
  const result = rounded * unit;
  return Math.abs(result) >= 2 ** 128 ? Math.sign(value) * Number.POSITIVE_INFINITY : result;
}

function values(): Float32Array {
  const ties = [
    1 + 2 ** -8,
    1 + 3 * 2 ** -8,
    -(1 + 2 ** -8),
    2 ** -130,
    2 ** -149,
    3.4028234663852886e38,
    3.3895e38,
  ];
  const special = [0, -0, 1, -1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const many = Array.from({ length: 9000 }, (_, i) => Math.sin(i) * 10 ** ((i % 60) - 30));
  return Float32Array.from([...ties, ...special, ...many]);
}

/** Payloads where the kernels reach them, and elsewhere, where plain code does the same. */
const places: [string, (bytes: number) => Uint8Array][] = [
  ["in a frame of the pool's", takePayload],
  ['in memory of its own', (bytes) => new Uint8Array(bytes)],
];

const used: Buffer[] = [];

function takePayload(bytes: number): Uint8Array {
  const frame = takeFrame(43 + bytes);
  used.push(frame);
  return frame.subarray(43);
}

afterEach(() => {
  for (const frame of used.splice(0)) giveFrame(frame);
});

describe.each(places)('bfloat16 %s', (_, allocate) => {
  const codec = segmentCodecs.bfloat16;

  it('rounds to nearest, ties to even', () => {
    const vector = values();
    const payload = allocate(vector.length * 2);
    const back = new Float32Array(vector.length);
    codec.write(vector, 0, payload);
    codec.store(back, 0, payload);
    expect(Array.from(back)).toEqual(Array.from(vector, roundToBfloat16));
  });

  it('keeps a NaN one whatever its bits', () => {
    const bits = [0x7f800001, 0xff800001, 0x7fffffff, 0x7fc00000, 0xffffffff];
    const vector = new Float32Array(Uint32Array.from({ length: 20 }, (_, i) => bits[i % 5]).buffer);
    const payload = allocate(40);
    codec.write(vector, 0, payload);
    codec.add(vector.slice().fill(1), 0, payload);
    codec.store(vector, 0, payload);
    expect(Array.from(vector)).toEqual(Array.from(vector, () => Number.NaN));
  });

  it('adds in float32 before it rounds', () => {
    const own = values().map((value) => value * 0.37);
    const partial = values();
    const payload = allocate(partial.length * 2);
    const sum = new Float32Array(partial.length);
    codec.write(partial, 0, payload);
    codec.add(own, 0, payload);
    codec.store(sum, 0, payload);
    const expected = Array.from(partial, (value, i) =>
      roundToBfloat16(Math.fround(roundToBfloat16(value) + own[i])),
    );
    expect(Array.from(sum)).toEqual(expected);
  });
});

describe.each(places)('float32 %s', (_, allocate) => {
  it('writes, adds and stores at an offset, and touches nothing else', () => {
    const vector = Float32Array.of(1, 2, 3, 4, 5);
    const payload = allocate(8);
    segmentCodecs.float32.write(vector, 1, payload);
    segmentCodecs.float32.add(vector, 2, payload);
    segmentCodecs.float32.store(vector, 3, payload);
    expect(Array.from(vector)).toEqual([1, 2, 3, 5, 7]);
  });

  it.each([0, 1, 3, 4, 5, 4095, 4096, 4097, 10_003])('adds %i numbers as JavaScript does', (count) => {
    const payload = allocate(4 * count + 4);
    const sum = new Float32Array(payload.buffer, payload.byteOffset, count + 1);
    const own = Float32Array.from({ length: count + 2 }, (_, i) => Math.sin(i) * 10 ** (i % 9));
    const partial = Float32Array.from({ length: count }, (_, i) => Math.cos(i) * 10 ** (i % 7));
    sum.set(partial);
    sum[count] = 7;
    segmentCodecs.float32.add(own, 1, payload.subarray(0, 4 * count));
    expect(sum.subarray(0, count)).toEqual(partial.map((value, i) => value + own[i + 1]));
    expect(sum[count]).toBe(7);
  });
});
