import { pieceBytes } from './frame-pool.js';
import { type Kernels, openKernels } from './simd-module.js';

/** Where a vector's memory lets kernels work on pieces of it without copying them first. */
export interface Workspace {
  readonly kernels: Kernels;
  /** Memory beside the vector, for whoever passes a piece on before anybody else runs. */
  readonly piece: Uint8Array;
}

const pageBytes = 65_536;
const workspaces = new WeakMap<ArrayBufferLike, Workspace>();

/**
 * A float32 vector in shared memory, at the start of a page as `allocateShared`'s, that is cheap to all-reduce: kernels reach it. Any
 * other vector can be all-reduced too; its pieces are then copied to where kernels reach them.
 */
export function allocateReductionVector(length: number): Float32Array<SharedArrayBuffer> {
  const pieceAt = Math.ceil((4 * length) / pageBytes) * pageBytes;
  const pages = (pieceAt + pieceBytes) / pageBytes;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const piece = new Uint8Array(memory.buffer, pieceAt, pieceBytes);
  workspaces.set(memory.buffer, { kernels: openKernels(memory), piece });
  return new Float32Array(memory.buffer, 0, length);
}

/** Null for a vector that was not allocated here. */
export function workspaceOf(vector: Float32Array): Workspace | null {
  return workspaces.get(vector.buffer) ?? null;
}
