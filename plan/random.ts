/**
 * Counter-based random numbers: every draw is a pure function of (seed, purpose, two labels, position), so
 * any process can make any number without making those before it.
 *
 * The mixing function is Philox4x32 with 10 rounds: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as
 * easy as 1, 2, 3" (SC 2011), https://doi.org/10.1145/2063384.2063405. It passes TestU01's BigCrush.
 */

/** What a stream of numbers is for; streams of different purposes are independent. */
export type Purpose =
  | 'permutation'
  | 'augmentation'
  | 'dropout'
  | 'initialization'
  | 'mixup'
  | 'test-time'
  | 'faults'
  | 'order'
  | 'placement';

const purposes: Record<Purpose, number> = {
  permutation: 1,
  augmentation: 2,
  dropout: 3,
  initialization: 4,
  mixup: 5,
  'test-time': 6,
  faults: 7,
  order: 8,
  placement: 9,
};

export interface RandomStream {
  /** Uniform integer in 0 … 2^32−1. */
  uint32(): number;
  /** Uniform in [0, 1), a multiple of 2^−32. */
  unit(): number;
  /** Uniform in [low, high). */
  uniform(low: number, high: number): number;
  /** Uniform integer in 0 … bound−1, without bias; 1 ≤ bound ≤ 2^32. */
  below(bound: number): number;
}

/**
 * The four 32-bit words that Philox4x32-10 makes of a 128-bit counter and a 64-bit key, written into `into`.
 */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
  into: Uint32Array,
): void {
  let [x0, x1, x2, x3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round += 1) {
    const high0 = multiplyHigh(0xd2511f53, x0);
    const high1 = multiplyHigh(0xcd9e8d57, x2);
    const low0 = Math.imul(0xd2511f53, x0);
    const low1 = Math.imul(0xcd9e8d57, x2);
    x0 = (high1 ^ x1 ^ k0) >>> 0;
    x1 = low1 >>> 0;
    x2 = (high0 ^ x3 ^ k1) >>> 0;
    x3 = low0 >>> 0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  into[0] = x0;
  into[1] = x1;
  into[2] = x2;
  into[3] = x3;
}

/**
 * The numbers that belong to (seed, purpose, a, b), from the first. Seeds are integers up to 2^53, labels to
 * 2^32.
 */
export function openStream(seed: number, purpose: Purpose, a = 0, b = 0): RandomStream {
  const key = seedWords(seed);
  const words = new Uint32Array(4);
  let block = 0;
  let used = 4;
  const uint32 = () => {
    if (used === 4) {
      philox4x32([block, a >>> 0, b >>> 0, purposes[purpose]], key, words);
      block += 1;
      used = 0;
    }
    const word = words[used]!;
    used += 1;
    return word;
  };
  const unit = () => uint32() / 2 ** 32;
  return {
    uint32,
    unit,
    uniform: (low, high) => low + (high - low) * unit(),
    below(bound) {
      // Numbers from the last, incomplete multiple of `bound` would favour small remainders.
      const limit = 2 ** 32 - (2 ** 32 % bound);
      let word = uint32();
      while (word >= limit) word = uint32();
      return word % bound;
    },
  };
}

/** The two int32 that seed the dropout of one micro-batch of one step, whichever rank computes it. */
export function randomKey(seed: number, step: number, microBatchIndex: number): [number, number] {
  const stream = openStream(seed, 'dropout', step, microBatchIndex);
  return [stream.uint32() | 0, stream.uint32() | 0];
}

function seedWords(seed: number): readonly [number, number] {
  return [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
}

/** The upper 32 bits of the 64-bit product of two unsigned 32-bit integers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return aHigh * bHigh + (middle >>> 16) + (carry >>> 16);
}
