import type { AllReduce } from '../../worker/training/reduce-parts.js';

/**
 * Rings of `worldSize` ranks in one process: each call waits for all ranks and leaves the same sum with each.
 */
export function createFakeRings(worldSize: number): AllReduce[] {
  let waiting: { vector: Float32Array; resolve(): void }[] = [];
  const allReduce = (vector: Float32Array) =>
    new Promise<void>((resolve) => {
      waiting.push({ vector, resolve });
      if (waiting.length < worldSize) return;
      const sum = vector.map((_, index) => waiting.reduce((total, entry) => total + entry.vector[index], 0));
      for (const entry of waiting) {
        entry.vector.set(sum);
        entry.resolve();
      }
      waiting = [];
    });
  return Array.from({ length: worldSize }, () => ({ allReduce }));
}
