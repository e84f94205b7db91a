import type { StepRing } from '../../worker/training/reduce-parts.js';

/**
 * Rings of `worldSize` ranks in one process: each call waits for all ranks and leaves the same with each.
 */
export function createFakeRings(worldSize: number): StepRing[] {
  const sum = meet<Float32Array, void>(worldSize, (vectors) => {
    const all = vectors.map(({ buffer, byteOffset, length }) => new Int32Array(buffer, byteOffset, length));
    const sums = Float32Array.from(all[0], (_, index) => all.reduce((total, ints) => total + ints[index], 0));
    for (const vector of vectors) vector.set(sums);
  });
  const gather = meet<Uint8Array, Uint8Array[]>(worldSize, (messages) => messages);
  return Array.from({ length: worldSize }, (_, rank) => ({
    allReduce: (vector) => sum(rank, vector),
    allGather: (bytes) => gather(rank, bytes),
  }));
}

/** Waits for all ranks, and gives each what is made of all they bring. */
function meet<T, R>(worldSize: number, use: (brought: T[]) => R) {
  let waiting = new Map<number, { readonly item: T; resolve(result: R): void }>();
  return (rank: number, item: T) =>
    new Promise<R>((resolve) => {
      waiting.set(rank, { item, resolve });
      if (waiting.size < worldSize) return;
      const all = Array.from({ length: worldSize }, (_, each) => waiting.get(each)!);
      waiting = new Map();
      const result = use(all.map((entry) => entry.item));
      for (const entry of all) entry.resolve(result);
    });
}
