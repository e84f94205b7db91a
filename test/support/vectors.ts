import type { FloatType } from '../../plan/run-config.js';
import { allocateReductionVector } from '../../worker/arithmetic/reduction-vector.js';

/**
 * What rank `rank` brings to an all-reduce: int32 values of mixed size and sign in the bits of a vector,
 * different on every rank. Those of 16 ranks fit.
 */
export function rankVector(rank: number, length: number): Float32Array {
  const ints = new Int32Array(length);
  let state = (rank + 1) * 7919;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    ints[i] = state >> (5 + (state & 15));
  }
  return new Float32Array(ints.buffer);
}

/** The same bits in shared memory, as workers keep them. */
export function toShared(vector: Float32Array): Float32Array {
  const shared = allocateReductionVector(vector.length);
  intsOf(shared).set(intsOf(vector));
  return shared;
}

export function intsOf({ buffer, byteOffset, length }: Float32Array): Int32Array {
  return new Int32Array(buffer, byteOffset, length);
}

/** What an all-reduce over `wire` is to give. */
export function sumOf(vectors: readonly Float32Array[], wire: FloatType): Float32Array {
  const sums = new Float64Array(vectors[0].length);
  for (const vector of vectors) {
    const ints = intsOf(vector);
    for (let i = 0; i < sums.length; i += 1) sums[i] += ints[i];
  }
  const rounded = new Float32Array(sums);
  if (wire === 'float32') return rounded;
  for (let i = 0; i < sums.length; i += 1) rounded[i] = roundToBfloat16(rounded[i]);
  return rounded;
}

/** bfloat16 by definition: of the two neighbours the nearer, of equals the one with an even last bit. */
export function roundToBfloat16(value: number): number {
  if (value === 0) return value;
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 7);
  const scaled = value / unit;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  return unit * (rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor);
}

/** Whether two vectors have the same bits. */
export function sameBits(a: Float32Array, b: Float32Array): boolean {
  return Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(
    Buffer.from(b.buffer, b.byteOffset, b.byteLength),
  );
}
