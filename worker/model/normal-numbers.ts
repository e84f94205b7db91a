import type { RandomStream } from '../../plan/random.js';

/**
 * Normal numbers in bulk: a network's first weights are tens of millions, and each worker draws all of them.
 *
 * Bits come from xoshiro128++ (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021),
 * seeded by the caller's stream; normal numbers by the ziggurat of Marsaglia and Tsang (2000) with 128
 * layers, in the form of Doornik, "An improved ziggurat method to generate normal random samples" (2005): the
 * layer and the place in it take different bits of a word.
 */
export function fillNormal(values: Float32Array, deviation: number, stream: RandomStream): void {
  const next = openXoshiro(stream);
  for (let index = 0; index < values.length; index++) values[index] = deviation * drawNormal(next);
}

const layers = 128;
/** Where the bottom layer's tail begins, and the area of each layer (Marsaglia and Tsang). */
const tail = 3.442619855899;
const area = 9.91256303526217e-3;
const density = (x: number) => Math.exp(-0.5 * x * x);

/** Right edges of the layers, from the bottom, which is as wide as its area demands, to 0 at the top. */
const edges = new Float64Array(layers + 1);
edges[0] = area / density(tail);
edges[1] = tail;
for (let layer = 2; layer < layers; layer++) {
  const below = edges[layer - 1]!;
  edges[layer] = Math.sqrt(-2 * Math.log(area / below + density(below)));
}
/**
 * A place is a signed number of 25 bits; its width in each layer, and below which it lies in the next layer
 * too.
 */
const places = 2 ** 24;
const widths = Float64Array.from({ length: layers }, (_, layer) => edges[layer]! / places);
const inner = Int32Array.from({ length: layers }, (_, layer) =>
  Math.floor((edges[layer + 1]! / edges[layer]!) * places),
);

function drawNormal(next: () => number): number {
  for (;;) {
    const word = next();
    const layer = word & (layers - 1);
    const place = word >> 7;
    const x = place * widths[layer]!;
    if (Math.abs(place) < inner[layer]!) return x;
    if (layer === 0) return place < 0 ? -drawTail(next) : drawTail(next);
    const [lower, upper] = [density(edges[layer]!), density(edges[layer + 1]!)];
    if (lower + positiveUnit(next) * (upper - lower) < density(x)) return x;
  }
}

/** Marsaglia's method for what lies beyond the bottom layer's rectangle. */
function drawTail(next: () => number): number {
  for (;;) {
    const x = -Math.log(positiveUnit(next)) / tail;
    const y = -Math.log(positiveUnit(next));
    if (2 * y > x * x) return tail + x;
  }
}

/** Uniform in (0, 1]. */
function positiveUnit(next: () => number): number {
  return ((next() >>> 0) + 1) / 2 ** 32;
}

/**
 * Gives 32 bits, signed, at each call. The last word is odd: all zero is the one state that it never leaves.
 */
function openXoshiro(stream: RandomStream): () => number {
  let [a, b, c, d] = [stream.uint32() | 0, stream.uint32() | 0, stream.uint32() | 0, stream.uint32() | 1];
  return () => {
    const mixed = (a + d) | 0;
    const result = (((mixed << 7) | (mixed >>> 25)) + a) | 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result;
  };
}
