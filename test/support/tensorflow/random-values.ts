/** `count` numbers in −1…1, the same for the same seed. */
export function randomValues(count: number, seed: number): Float32Array {
  let state = (seed * 2654435761 + 1) >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Euclidean length. */
export function norm(values: ArrayLike<number>): number {
  return Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0));
}

/** Euclidean distance of `found` from `expected`, in lengths of `expected`. */
export function relativeDistance(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  const difference = Array.from(found, (value, index) => value - expected[index]!);
  return norm(difference) / Math.max(norm(expected), 1e-30);
}
