import assert from 'node:assert/strict';
import { type Kernels, openKernels } from './kernels.js';

/** Where a vector's memory lets kernels work on pieces of it without copying them first. */
export interface Workspace {
  readonly memory: WebAssembly.Memory;
  readonly kernels: Kernels;
  /** Memory beside the vector, for a piece that this thread passes on synchronously. */
  readonly piece: Uint8Array;
}

/**
 * What passes from one shared slot to the next, or to the vector, passes in pieces of this size: they stay in
 * the processor's cache and are worth a system call each.
 */
export const pieceBytes = 256 * 1024;

/** Threads that may work on one vector at once. */
export const maxLanes = 4;

const pageBytes = 65_536;
const workspaces = new WeakMap<ArrayBufferLike, Workspace>();

/**
 * A vector of 32-bit values in shared memory, at the start of a page as `allocateShared`'s, that is cheap to
 * all-reduce: kernels reach it. Any other vector can be all-reduced too; its pieces are then copied to where
 * kernels reach them.
 */
export function allocateReductionVector(length: number): Float32Array<SharedArrayBuffer> {
  return new Float32Array(adoptMemory(allocateMemory(4 * length), 0), 0, length);
}

/**
 * A reduction vector, and as much room where kernels reach it too, for this rank's own part of the sum: it stays when
 * the vector is reduced. `memory` is what other threads adopt.
 */
export interface SumMemory {
  readonly memory: WebAssembly.Memory;
  readonly vector: Float32Array<SharedArrayBuffer>;
  readonly own: Float32Array<SharedArrayBuffer>;
}

export function allocateSumMemory(length: number): SumMemory {
  // In pages of its own: those of the vector may be shared with other processes.
  const ownAt = pageBytes * Math.ceil((4 * length) / pageBytes);
  const memory = allocateMemory(ownAt + 4 * length);
  const buffer = adoptMemory(memory, 0);
  return {
    memory,
    vector: new Float32Array(buffer, 0, length),
    own: new Float32Array(buffer, ownAt, length),
  };
}

function allocateMemory(bytes: number): WebAssembly.Memory {
  const pages = Math.ceil((bytes + maxLanes * pieceBytes) / pageBytes);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

/**
 * Makes the memory of another thread's reduction vectors known to this one, which is to be its lane `lane`.
 * Vectors begin where the memory does.
 */
export function adoptMemory(memory: WebAssembly.Memory, lane: number): SharedArrayBuffer {
  assert(lane >= 0 && lane < maxLanes, `lane ${lane}`);
  const { buffer } = memory;
  const piece = new Uint8Array(buffer, buffer.byteLength - (lane + 1) * pieceBytes, pieceBytes);
  workspaces.set(buffer, { memory, kernels: openKernels(memory), piece });
  return buffer;
}

/** Null for memory that was neither allocated nor adopted here. */
export function workspaceOf({ buffer }: { readonly buffer: ArrayBufferLike }): Workspace | null {
  return workspaces.get(buffer) ?? null;
}
