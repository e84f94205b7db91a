import { afterEach, describe, expect, it } from 'vitest';
import { allocateReductionVector, workspaceOf } from '../../../../worker/arithmetic/reduction-vector.js';
import { giveFrame, takeFrame } from '../../../../worker/collective/codec/frame-pool.js';
import {
  addInts,
  copyOut,
  finishSums,
  storeFloats,
} from '../../../../worker/collective/codec/segment-codec.js';
import { intsOf, rankVector, roundToBfloat16, sameBits } from '../../../support/vectors.js';

const used: Buffer[] = [];

function takePayload(bytes: number): Uint8Array {
  const frame = takeFrame(43 + bytes);
  used.push(frame);
  return frame.subarray(43);
}

afterEach(() => {
  for (const frame of used.splice(0)) giveFrame(frame);
});

/** Payloads where the kernels reach them, and elsewhere, where plain code does the same. */
const places: [
  string,
  (bytes: number) => { payload: Uint8Array; vectorOf: (count: number) => Float32Array },
][] = [
  [
    "in a frame of the pool's",
    (bytes) => ({ payload: takePayload(bytes), vectorOf: (count) => new Float32Array(count) }),
  ],
  [
    'in memory of its own',
    (bytes) => ({ payload: new Uint8Array(bytes), vectorOf: (count) => new Float32Array(count) }),
  ],
  [
    'beside the vector',
    (bytes) => {
      const memory = allocateReductionVector(100_000);
      return {
        payload: workspaceOf(memory)!.piece.subarray(0, bytes),
        vectorOf: (count) => memory.subarray(0, count),
      };
    },
  ],
];

describe.each(places)('payloads %s', (_, allocate) => {
  it('are written, added to and stored at an offset, and nothing else is touched', () => {
    const { payload, vectorOf } = allocate(8);
    const vector = vectorOf(5);
    intsOf(vector).set([1, 2, 3, 4, 5]);
    copyOut(vector, 1, payload);
    addInts(vector, 2, payload);
    storeFloats(vector, 3, finishSums(payload, 'float32'), 'float32');
    expect([...intsOf(vector).subarray(0, 3)]).toEqual([1, 2, 3]);
    expect([...vector.subarray(3)]).toEqual([5, 7]);
  });

  it.each([0, 1, 3, 4, 5, 15, 16, 17, 4095, 4096, 10_003])('add %i numbers as integers', (count) => {
    const { payload, vectorOf } = allocate(4 * count + 4);
    const sums = new Int32Array(payload.buffer, payload.byteOffset, count + 1);
    const own = vectorOf(count + 2);
    intsOf(own).set(intsOf(rankVector(0, count + 2)));
    const partial = intsOf(rankVector(1, count));
    sums.set(partial);
    sums[count] = 7;
    addInts(own, 1, payload.subarray(0, 4 * count));
    const expected = partial.map((value, i) => value + intsOf(own)[i + 1]);
    expect([...sums.subarray(0, count)]).toEqual([...expected]);
    expect(sums[count]).toBe(7);
  });

  it('become float32 by one rounding, to nearest, ties to even', () => {
    const sums = [0, 1, -1, 2 ** 24 + 1, 2 ** 24 + 3, -(2 ** 25 + 2), 2 ** 31 - 1, -(2 ** 31), 123_456_789];
    const ints = Int32Array.from({ length: 200 }, (_, index) => sums[index % sums.length]!);
    const { payload, vectorOf } = allocate(4 * ints.length);
    payload.set(new Uint8Array(ints.buffer));
    const vector = vectorOf(ints.length);
    storeFloats(vector, 0, finishSums(payload, 'float32'), 'float32');
    expect([...vector]).toEqual([...Float32Array.from(ints)]);
  });

  it('become bfloat16 by rounding that to nearest, ties to even', () => {
    const ties = [257, 259, -257, 2 ** 16 + 2 ** 8, 2 ** 16 + 3 * 2 ** 8, 2 ** 31 - 1, -(2 ** 31), 0, 1, -1];
    const ints = Int32Array.from([...ties, ...intsOf(rankVector(3, 9001))]);
    const { payload, vectorOf } = allocate(4 * ints.length);
    payload.set(new Uint8Array(ints.buffer));
    const vector = vectorOf(ints.length);
    const finished = finishSums(payload, 'bfloat16');
    expect(finished.byteLength).toBe(2 * ints.length);
    storeFloats(vector, 0, finished, 'bfloat16');
    const expected = Float32Array.from(ints, (value) => roundToBfloat16(Math.fround(value)));
    expect(sameBits(vector, expected)).toBe(true);
  });
});
