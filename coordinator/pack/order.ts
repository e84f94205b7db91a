import { openStream } from '../../plan/random.js';
import { epochPermutation } from '../../plan/sampler.js';

/**
 * How samples follow each other in the shards. `shuffled`: at random, so that readers who go from shard to
 * shard meet all classes; `class-balanced`: at random, and every stretch has each class's share of all
 * samples; `sorted`: as the data set lists them, class after class in most folders.
 */
export const sampleOrders = ['shuffled', 'class-balanced', 'sorted'] as const;
export type SampleOrder = (typeof sampleOrders)[number];

/** Permutations that no run's epochs reach, and no split. */
const [orderEpoch, placeEpoch] = [2 ** 32 - 2, 2 ** 32 - 3];

/** Positions in `labels`, in the order in which they are packed. Pure. */
export function orderSamples(
  order: SampleOrder,
  labels: readonly number[] | Uint32Array,
  seed: number,
): Uint32Array {
  const positions = Uint32Array.from(labels, (_, position) => position);
  if (order === 'sorted') return positions;
  const shuffled = epochPermutation(seed, orderEpoch, labels.length).slice();
  return order === 'shuffled' ? shuffled : spreadClasses(shuffled, labels, seed);
}

/**
 * The j-th of a class's n samples lies between j/n and (j + 1)/n of the whole, at random: any stretch has about
 * as many of a class as its share of all samples.
 */
function spreadClasses(
  shuffled: Uint32Array,
  labels: readonly number[] | Uint32Array,
  seed: number,
): Uint32Array {
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  const stream = openStream(seed, 'permutation', placeEpoch);
  const met = new Map<number, number>();
  const places = new Float64Array(labels.length);
  for (const position of shuffled) {
    const label = labels[position]!;
    const index = met.get(label) ?? 0;
    met.set(label, index + 1);
    places[position] = (index + stream.unit()) / counts.get(label)!;
  }
  return shuffled.sort((a, b) => places[a]! - places[b]! || a - b);
}
