import type { BatchLoader, BatchRequest } from '../../worker/training/batches.js';

export interface FakeLoader extends BatchLoader {
  /** Micro-batches handed out and not yet released. */
  alive(): number;
}

/** Hands out what is asked for at once; a sample's label is its id. */
export function createFakeLoader(): FakeLoader {
  let alive = 0;
  return {
    alive: () => alive,
    async *load(requests: Iterable<BatchRequest>, { signal }) {
      for (const { ids } of requests) {
        signal.throwIfAborted();
        alive += 1;
        yield {
          ids,
          pixels: new Uint8Array(0),
          labels: Int32Array.from(ids),
          transforms: new Float32Array(0),
          lighting: new Float32Array(0),
          release: () => {
            alive -= 1;
          },
        };
      }
    },
  };
}
