import { openStream } from './random.js';

interface Remembered {
  readonly seed: number;
  readonly epoch: number;
  readonly count: number;
  readonly order: Uint32Array;
}

// A loader reads ahead across an epoch's end, so two epochs are in use at once; a resumed or verified run
// adds a third.
const rememberedEpochs = 4;
const remembered: Remembered[] = [];

/**
 * The order in which epoch `epoch` visits samples 0 … count−1: a uniform permutation by Fisher and Yates's
 * shuffle. The array is shared between callers and must not be changed; the last few epochs' are kept.
 */
export function epochPermutation(seed: number, epoch: number, count: number): Uint32Array {
  const known = remembered.find((r) => r.seed === seed && r.epoch === epoch && r.count === count);
  if (known !== undefined) return known.order;
  const order = shuffle(seed, epoch, count);
  remembered.unshift({ seed, epoch, count, order });
  remembered.length = Math.min(remembered.length, rememberedEpochs);
  return order;
}

function shuffle(seed: number, epoch: number, count: number): Uint32Array {
  const stream = openStream(seed, 'permutation', epoch);
  const order = Uint32Array.from({ length: count }, (_, id) => id);
  for (let last = count - 1; last > 0; last -= 1) {
    const chosen = stream.below(last + 1);
    const id = order[chosen]!;
    order[chosen] = order[last]!;
    order[last] = id;
  }
  return order;
}
