import { RondoError } from '../../runtime/errors.js';
import { allocateShared } from '../../runtime/shared-buffer.js';

/** Presized images in memory, first come first kept: under a new order each epoch no image is likelier to be wanted next. */
export interface MemoryPixels {
  /** Copies image `index` into `into`; false when it is not held. */
  get(index: number, into: Uint8Array): boolean;
  /** Keeps a copy while there is room. */
  put(index: number, pixels: Uint8Array): void;
}

/** One piece of shared memory has at most 4 GiB. */
const maxSlabBytes = 2 ** 30;

/**
 * Room for as many images of `imageBytes` as `budgetBytes` holds, at most `count`. The system hands the memory out
 * page by page as it is filled. Throws RondoError when the budget cannot be reserved.
 */
export function createMemoryPixels(count: number, imageBytes: number, budgetBytes: number): MemoryPixels {
  const capacity = Math.min(count, Math.floor(budgetBytes / imageBytes));
  const perSlab = Math.max(1, Math.floor(maxSlabBytes / imageBytes));
  const slabs = Array.from(
    { length: Math.ceil(capacity / perSlab) },
    (_, slab) => new Uint8Array(reserve(Math.min(perSlab, capacity - slab * perSlab) * imageBytes)),
  );
  const slots = new Map<number, number>();
  const imageAt = (slot: number): Uint8Array => {
    const start = (slot % perSlab) * imageBytes;
    return slabs[Math.floor(slot / perSlab)]!.subarray(start, start + imageBytes);
  };
  return {
    get(index, into) {
      const slot = slots.get(index);
      if (slot === undefined) return false;
      into.set(imageAt(slot));
      return true;
    },
    put(index, pixels) {
      if (slots.size >= capacity || slots.has(index)) return;
      const slot = slots.size;
      slots.set(index, slot);
      imageAt(slot).set(pixels);
    },
  };
}

function reserve(bytes: number): SharedArrayBuffer {
  try {
    return allocateShared(bytes);
  } catch (error) {
    throw new RondoError('resource-exhausted', `cannot reserve ${bytes} bytes for the pixel cache`, {
      remedy: 'start the worker with a smaller --cache-bytes',
      cause: error,
    });
  }
}
