import { allocateShared } from '../../runtime/shared-buffer.js';

/** The arrays of one micro-batch of `n` images, over shared memory that TensorFlow takes without a copy. */
export interface BatchBuffers {
  /** [n, rows, presize, 3] */
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
  /** Buffers for `n` images of `rows` rows each; their contents are whatever they held before. */
  take(n: number, rows: number): { buffers: BatchBuffers; giveBack(): void };
  /** Buffers made so far, in use or free. */
  readonly size: number;
}

const alignment = 64;

/**
 * Buffers for micro-batches of about `usual` images, each of about 1.5 × presize rows. Where more is asked
 * for than any free one holds, a larger one takes the place of a free one, so that there are never more than
 * are in use at a time.
 */
export function createBufferPool(presize: number, usual: number): BufferPool {
  const rowBytes = presize * 3;
  const usualRows = Math.ceil(1.5 * presize) + 2;
  const free: { memory: SharedArrayBuffer; images: number; pixelBytes: number }[] = [];
  let size = 0;
  const make = (images: number, pixelBytes: number) => {
    if (free.pop() === undefined) size += 1;
    return { memory: allocateShared(layout(images, pixelBytes).bytes), images, pixelBytes };
  };
  return {
    get size() {
      return size;
    },
    take(n, rows) {
      const bytes = n * rows * rowBytes;
      const fitting = free.findIndex(({ images, pixelBytes }) => images >= n && pixelBytes >= bytes);
      const most = Math.max(n, usual);
      const slot =
        fitting < 0 ? make(most, Math.max(bytes, most * usualRows * rowBytes)) : free.splice(fitting, 1)[0]!;
      const { memory } = slot;
      const at = layout(slot.images, slot.pixelBytes);
      return {
        buffers: {
          pixels: new Uint8Array(memory, at.pixels, bytes),
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

/** Byte offsets of the arrays for `images` images with `pixelBytes` together, each aligned. */
function layout(images: number, pixelBytes: number) {
  let bytes = 0;
  const place = (length: number): number => {
    const start = bytes;
    bytes = Math.ceil((start + length) / alignment) * alignment;
    return start;
  };
  const offsets = {
    pixels: place(pixelBytes),
    labels: place(images * 4),
    transforms: place(images * 32),
    lighting: place(images * 8),
    ids: place(images * 4),
  };
  return { ...offsets, bytes };
}
