import assert from 'node:assert/strict';
import { openKernels } from '../../arithmetic/kernels.js';
import { pieceBytes } from '../../arithmetic/reduction-vector.js';
import { chunkBytes } from '../geometry.js';

/** Room for a chunk and the headers before it, on cache lines of its own. */
const frameBytes = chunkBytes + 64;

/**
 * What gRPC puts before a message: a flag and the length. With the header, it leaves payloads 16-byte
 * aligned.
 */
const grpcPrefixBytes = 5;

/** More than a ring has under way; further requests get fresh memory. */
const frameCount = 32;

/** Values that kernels take from beside the frames: few enough to stay in the processor's nearest cache. */
export const scratchValues = 16_384;

const pieceAt = 4 * scratchValues;
const framesAt = pieceAt + pieceBytes;
const pageCount = Math.ceil((framesAt + frameCount * frameBytes) / 65_536);

const memory = new WebAssembly.Memory<false>({ initial: pageCount, maximum: pageCount });

/**
 * Frames live in the memory of the kernels that sum them, and are used again and again: fresh pages and their
 * collection cost as much as a copy.
 */
export const poolMemory = memory.buffer;

export const poolKernels = openKernels(memory);

/** Where kernels find a vector's values: at address 0. */
export const scratch = new Uint8Array(poolMemory, 0, 4 * scratchValues);

/** Scratch memory for a piece that is passed on synchronously. */
export const piece = new Uint8Array(poolMemory, pieceAt, pieceBytes);

const free = Array.from({ length: frameCount }, (_, slot) => frameCount - 1 - slot);
const taken = new Set<number>();

/**
 * Frames that an aborted round left in streams and queues are freed by the garbage collector, with those.
 */
const forgotten = new FinalizationRegistry(putBack);

/**
 * `bytes` bytes of whatever was there before, from the pool when it has them, with room for gRPC's prefix
 * before them.
 */
export function takeFrame(bytes: number): Buffer {
  const slot = grpcPrefixBytes + bytes <= frameBytes ? free.pop() : undefined;
  if (slot === undefined) return Buffer.allocUnsafeSlow(grpcPrefixBytes + bytes).subarray(grpcPrefixBytes);
  const frame = Buffer.from(poolMemory, framesAt + slot * frameBytes + grpcPrefixBytes, bytes);
  taken.add(slot);
  forgotten.register(frame, slot, frame);
  return frame;
}

/** The frame's only owner gives it up. Memory from elsewhere is left to the garbage collector. */
export function giveFrame(frame: Buffer): void {
  if (frame.buffer !== poolMemory) return;
  forgotten.unregister(frame);
  putBack(Math.floor((frame.byteOffset - framesAt) / frameBytes));
}

function putBack(slot: number): void {
  assert(taken.delete(slot), `frame ${slot} is given up twice`);
  free.push(slot);
}
