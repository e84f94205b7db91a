import { describe, expect, it } from 'vitest';
import { openKernels } from '../../../worker/arithmetic/kernels.js';

const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
const { encode, encodeAdd, encodeFinished, encodeAddFinished } = openKernels(memory);
const [ownAt, floatsAt] = [0, 65_536];

/** By definition: the nearest whole multiple of 1 / scale, of two the even one. */
function encodeOne(value: number, scale: number): number {
  const scaled = Math.fround(value * scale);
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const nearest = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
  return Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, nearest));
}

function write(values: readonly number[]) {
  const count = 16 * Math.ceil(values.length / 16);
  const floats = new Float32Array(memory.buffer, floatsAt, count);
  floats.fill(0);
  floats.set(values);
  return { ints: new Int32Array(memory.buffer, ownAt, count), end: ownAt + 4 * count };
}

describe('encode', () => {
  const values = [0, -0, 0.5, 1.5, 2.5, -0.5, -1.5, 0.49999997, 1e-40, 3e38, -3e38, 2 ** 20, -(2 ** 31)];
  for (let index = 0; index < 500; index += 1) values.push(Math.sin(index) * 10 ** ((index % 24) - 12));

  it.each([1, 2 ** 10, 2 ** -10, 2 ** 25, 2 ** 100])('rounds ties to even, with 2^k = %d', (scale) => {
    const floats = values.map(Math.fround);
    const expected = floats.map((value) => encodeOne(value, scale) + 0);
    const { ints: own, end } = write(floats);
    const reduced = new Int32Array(memory.buffer, floatsAt, own.length);
    expect(encode(ownAt, floatsAt, end, scale)).toBe(Math.fround(3e38));
    for (const ints of [own, reduced]) expect([...ints.subarray(0, floats.length)]).toEqual(expected);
    const before = own.map((_, index) => index - 100);
    write(floats);
    own.set(before);
    expect(encodeAdd(ownAt, floatsAt, end, scale)).toBe(Math.fround(3e38));
    const sums = expected.map((value, index) => (value + before[index]!) | 0);
    for (const ints of [own, reduced]) expect([...ints.subarray(0, floats.length)]).toEqual(sums);
  });

  it.each([1, 2 ** 10, 2 ** -10])(
    'leaves a finished sum in float32 beside a rank’s own, with 2^k = %d',
    (scale) => {
      const floats = values.map(Math.fround);
      const expected = floats.map((value) => encodeOne(value, scale));
      const { ints: own, end } = write(floats);
      const finished = new Float32Array(memory.buffer, floatsAt, own.length);
      const before = own.map((_, index) => index - 100);
      own.set(before);
      expect(encodeFinished(ownAt, floatsAt, end, scale)).toBe(Math.fround(3e38));
      expect([...finished.subarray(0, floats.length)]).toEqual(
        expected.map((value) => Math.fround(value) + 0),
      );
      write(floats);
      own.set(before);
      expect(encodeAddFinished(ownAt, floatsAt, end, scale)).toBe(Math.fround(3e38));
      const sums = expected.map((value, index) => Math.fround((value + before[index]!) | 0));
      expect([...finished.subarray(0, floats.length)]).toEqual(sums);
      expect([...own]).toEqual([...before]);
    },
  );

  it('works in place', () => {
    const floats = [1, -2, 3.25, 100].map(Math.fround);
    write(floats);
    expect(encode(floatsAt, floatsAt, floatsAt + 64, 4)).toBe(100);
    expect([...new Int32Array(memory.buffer, floatsAt, 5)]).toEqual([4, -8, 13, 400, 0]);
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 15])('finds the largest magnitude wherever it is: %i', (place) => {
    for (const large of [7, -7, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const floats = new Array<number>(16).fill(-1);
      floats[place] = large;
      const { end } = write(floats);
      expect(encode(ownAt, floatsAt, end, 1)).toBe(Math.abs(large));
    }
  });

  it('says when there is a NaN, though there be infinities too', () => {
    for (const place of [0, 5, 15]) {
      const floats = new Array<number>(16).fill(Number.POSITIVE_INFINITY);
      floats[place] = Number.NaN;
      const { ints, end } = write(floats);
      expect(encode(ownAt, floatsAt, end, 1)).toBeNaN();
      expect([ints[place], ints[place === 1 ? 2 : 1]]).toEqual([0, 2 ** 31 - 1]);
    }
  });
});
