/** Memory for frames of at most one size, used again and again: fresh pages and their collection cost as much as a copy. */
export interface FramePool {
  /** At least `bytes` bytes of whatever was there before; memory of its own when that is more than the pool's size. */
  take(bytes: number): ArrayBuffer;
  /** The memory's only owner gives it up. Memory of another size is left to the garbage collector. */
  give(memory: ArrayBuffer): void;
}

/** More than a ring has under way; what is given beyond that is let go. */
const heldAtMost = 64;

export function createFramePool(frameBytes: number): FramePool {
  const free: ArrayBuffer[] = [];
  return {
    take(bytes) {
      // Buffer's own allocation leaves the memory as it is; an ArrayBuffer's constructor would clear it.
      return (
        (bytes <= frameBytes ? free.pop() : undefined) ??
        (Buffer.allocUnsafeSlow(Math.max(bytes, frameBytes)).buffer as ArrayBuffer)
      );
    },
    give(memory) {
      if (memory.byteLength === frameBytes && free.length < heldAtMost) free.push(memory);
    },
  };
}
