import { allocateShared } from '../../runtime/shared-buffer.js';

/** The arrays of one micro-batch of `n` images, over shared memory that TensorFlow takes without a copy. */
export interface BatchBuffers {
  /** [n, presize, presize, 3] */
  readonly pixels: Uint8Array;
  /** [n] */
  readonly labels: Int32Array;
  /** [n, 8] */
  readonly transforms: Float32Array;
  /** [n, 2] */
  readonly lighting: Float32Array;
  /** [n] */
  readonly ids: Uint32Array;
}

export interface BufferPool {
  /** Buffers for `n` images; their contents are whatever they held before. */
  take(n: number): { buffers: BatchBuffers; giveBack(): void };
  /** Buffers made so far, in use or free. */
  readonly size: number;
}

const alignment = 64;

/** Buffers for micro-batches of about `usual` images; a larger one gets memory of its own size, which is kept too. */
export function createBufferPool(presize: number, usual: number): BufferPool {
  const imageBytes = presize * presize * 3;
  const free: { memory: SharedArrayBuffer; capacity: number }[] = [];
  let size = 0;
  const make = (capacity: number) => {
    size += 1;
    return { memory: allocateShared(layout(capacity, imageBytes).bytes), capacity };
  };
  return {
    get size() {
      return size;
    },
    take(n) {
      const fitting = free.findIndex((slot) => slot.capacity >= n);
      const slot = fitting < 0 ? make(Math.max(n, usual)) : free.splice(fitting, 1)[0]!;
      const { memory } = slot;
      const at = layout(slot.capacity, imageBytes);
      return {
        buffers: {
          pixels: new Uint8Array(memory, at.pixels, n * imageBytes),
          labels: new Int32Array(memory, at.labels, n),
          transforms: new Float32Array(memory, at.transforms, n * 8),
          lighting: new Float32Array(memory, at.lighting, n * 2),
          ids: new Uint32Array(memory, at.ids, n),
        },
        giveBack: () => free.push(slot),
      };
    },
  };
}

/** Byte offsets of the arrays for `capacity` images, each aligned. */
function layout(capacity: number, imageBytes: number) {
  let bytes = 0;
  const place = (length: number): number => {
    const start = bytes;
    bytes = Math.ceil((start + length) / alignment) * alignment;
    return start;
  };
  const offsets = {
    pixels: place(capacity * imageBytes),
    labels: place(capacity * 4),
    transforms: place(capacity * 32),
    lighting: place(capacity * 8),
    ids: place(capacity * 4),
  };
  return { ...offsets, bytes };
}
