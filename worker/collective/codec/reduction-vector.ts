import assert from 'node:assert/strict';
import { type Kernels, openKernels } from '../../arithmetic/kernels.js';
import { pieceBytes } from './frame-pool.js';

/** Where a vector's memory lets kernels work on pieces of it without copying them first. */
export interface Workspace {
  readonly memory: WebAssembly.Memory;
  readonly kernels: Kernels;
  /** Scratch memory beside the vector, for a piece that this thread passes on synchronously. */
  readonly piece: Uint8Array;
}

/** Threads that may work on one vector at once. */
export const maxLanes = 4;

const pageBytes = 65_536;
const workspaces = new WeakMap<ArrayBufferLike, Workspace>();

/**
 * A float32 vector in shared memory, at the start of a page as `allocateShared`'s, that is cheap to
 * all-reduce: kernels reach it. Any other vector can be all-reduced too; its pieces are then copied to where
 * kernels reach them.
 */
export function allocateReductionVector(length: number): Float32Array<SharedArrayBuffer> {
  const pages = Math.ceil((4 * length + maxLanes * pieceBytes) / pageBytes);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return new Float32Array(adoptMemory(memory, 0), 0, length);
}

/**
 * Makes the memory of another thread's reduction vectors known to this one, which is to be its lane `lane`.
 */
export function adoptMemory(memory: WebAssembly.Memory, lane: number): SharedArrayBuffer {
  assert(lane >= 0 && lane < maxLanes, `lane ${lane}`);
  const { buffer } = memory;
  const piece = new Uint8Array(buffer, buffer.byteLength - (lane + 1) * pieceBytes, pieceBytes);
  workspaces.set(buffer, { memory, kernels: openKernels(memory), piece });
  return buffer;
}

/** Null for a vector whose memory was neither allocated nor adopted here. */
export function workspaceOf(vector: Float32Array): Workspace | null {
  return workspaces.get(vector.buffer) ?? null;
}
