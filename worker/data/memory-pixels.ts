import { RondoError } from '../../runtime/errors.js';
import { allocateShared } from '../../runtime/shared-buffer.js';

/**
 * Decoded images in memory, first come first kept: under a new order each epoch no image is likelier to be
 * wanted next.
 */
export interface MemoryPixels {
  /** The pixels of image `index`, not to be written to; undefined when it is not held. */
  get(index: number): Uint8Array | undefined;
  /** Keeps a copy while there is room. */
  put(index: number, pixels: Uint8Array): void;
}

/** One piece of shared memory has at most 4 GiB. */
const maxSlabBytes = 2 ** 30;

/**
 * Room for images of `totalBytes` together, as far as `budgetBytes` reach. The system hands the memory out
 * page by page as it is filled. Throws RondoError when the budget cannot be reserved.
 */
export function createMemoryPixels(totalBytes: number, budgetBytes: number): MemoryPixels {
  const capacity = Math.min(totalBytes, budgetBytes);
  const slabs = Array.from({ length: Math.ceil(capacity / maxSlabBytes) }, (_, slab) => {
    const bytes = Math.min(maxSlabBytes, capacity - slab * maxSlabBytes);
    return new Uint8Array(reserve(bytes), 0, bytes);
  });
  const held = new Map<number, Uint8Array>();
  let [slab, used] = [0, 0];
  return {
    get: (index) => held.get(index),
    put(index, pixels) {
      if (held.has(index)) return;
      if (slab + 1 < slabs.length && used + pixels.length > slabs[slab]!.length) [slab, used] = [slab + 1, 0];
      if (slabs.length === 0 || used + pixels.length > slabs[slab]!.length) return;
      const place = slabs[slab]!.subarray(used, used + pixels.length);
      place.set(pixels);
      held.set(index, place);
      used += pixels.length;
    },
  };
}

function reserve(bytes: number): SharedArrayBuffer {
  try {
    return allocateShared(bytes);
  } catch (error) {
    throw new RondoError('resource-exhausted', `cannot reserve ${bytes} bytes for decoded images`, {
      remedy: 'start the worker with a smaller --cache-mib',
      cause: error,
    });
  }
}
