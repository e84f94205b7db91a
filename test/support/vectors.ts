import { allocateReductionVector } from '../../worker/collective/codec/reduction-vector.js';

/** What rank `rank` brings to an all-reduce: values of mixed size and sign, different on every rank. */
export function rankVector(rank: number, length: number): Float32Array {
  const vector = new Float32Array(length);
  let state = (rank + 1) * 7919;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    vector[i] = (state / 2 ** 31) * (1 << (state & 15));
  }
  return vector;
}

/** The same values in shared memory, as workers keep them. */
export function toShared(vector: Float32Array): Float32Array {
  const shared = allocateReductionVector(vector.length);
  shared.set(vector);
  return shared;
}

/** Element-wise sum and sum of magnitudes, in float64. */
export function exactSum(vectors: readonly Float32Array[]): { sum: Float64Array; magnitude: Float64Array } {
  const sum = new Float64Array(vectors[0].length);
  const magnitude = new Float64Array(vectors[0].length);
  for (const vector of vectors) {
    for (let i = 0; i < sum.length; i += 1) {
      sum[i] += vector[i];
      magnitude[i] += Math.abs(vector[i]);
    }
  }
  return { sum, magnitude };
}

/** Largest |value − sum| over magnitude: in units of what rounding can do. */
export function worstDeviation(vector: Float32Array, vectors: readonly Float32Array[]): number {
  const { sum, magnitude } = exactSum(vectors);
  let worst = 0;
  for (let i = 0; i < sum.length; i += 1) {
    if (magnitude[i] > 0) worst = Math.max(worst, Math.abs(vector[i] - sum[i]) / magnitude[i]);
  }
  return worst;
}

/** Whether two vectors have the same bits. */
export function sameBits(a: Float32Array, b: Float32Array): boolean {
  return Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(
    Buffer.from(b.buffer, b.byteOffset, b.byteLength),
  );
}
