import type { FloatType } from '../../../plan/run-config.js';
import { type Kernels, turnBytes } from '../../arithmetic/kernels.js';
import { poolKernels, poolMemory, scratch, scratchFloats } from './frame-pool.js';
import { workspaceOf } from './reduction-vector.js';

/**
 * Arithmetic between a vector and a chunk's payload in one wire type. Payloads are 4-byte aligned. Sums are
 * formed in float32; NaN and infinities survive.
 */
export interface SegmentCodec {
  /** payload := vector[offset …] */
  write(vector: Float32Array, offset: number, payload: Uint8Array): void;
  /** payload := payload + vector[offset …] */
  add(vector: Float32Array, offset: number, payload: Uint8Array): void;
  /** vector[offset …] := payload */
  store(vector: Float32Array, offset: number, payload: Uint8Array): void;
}

const float32: SegmentCodec = {
  write(vector, offset, payload) {
    copyBytes(bytesOf(vector, offset, payload.byteLength), payload);
  },
  add(vector, offset, payload) {
    const wire = floatsOf(payload);
    const done = runKernel('addFloat32', 4, vector, offset, payload);
    for (let i = done; i < wire.length; i += 1) wire[i] = wire[i] + vector[offset + i];
  },
  store(vector, offset, payload) {
    copyBytes(payload, bytesOf(vector, offset, payload.byteLength));
  },
};

/** A float and its bits. */
const single = new Float32Array(1);
const singleBits = new Int32Array(single.buffer);

const bfloat16: SegmentCodec = {
  write(vector, offset, payload) {
    const wire = halvesOf(payload);
    const done = runKernel('packBfloat16', 2, vector, offset, payload);
    for (let i = done; i < wire.length; i += 1) wire[i] = roundToBfloat16(vector[offset + i]);
  },
  add(vector, offset, payload) {
    const wire = halvesOf(payload);
    const done = runKernel('addBfloat16', 2, vector, offset, payload);
    for (let i = done; i < wire.length; i += 1) {
      singleBits[0] = wire[i] << 16;
      wire[i] = roundToBfloat16(single[0] + vector[offset + i]);
    }
  },
  store(vector, offset, payload) {
    const wire = halvesOf(payload);
    const bits = new Int32Array(vector.buffer, vector.byteOffset + 4 * offset, wire.length);
    const done = runKernel('unpackBfloat16', 2, vector, offset, payload);
    for (let i = done; i < bits.length; i += 1) bits[i] = wire[i] << 16;
  },
};

/** Round to nearest, ties to even; a NaN stays one (its upper bits alone might read as infinity). */
function roundToBfloat16(value: number): number {
  single[0] = value;
  const bits = singleBits[0];
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/**
 * Runs a kernel on the whole turns of a payload that lies where kernels reach it: beside the vector, or in
 * the pool, where floats are copied from the vector or to it piece by piece. Returns how many elements are
 * done; the rest is for the caller.
 */
function runKernel(
  name: keyof Kernels,
  elementBytes: number,
  vector: Float32Array,
  offset: number,
  payload: Uint8Array,
): number {
  const whole = Math.floor(payload.byteLength / turnBytes) * (turnBytes / elementBytes);
  if (whole === 0) return 0;
  if (payload.buffer === vector.buffer) {
    const { byteOffset } = payload;
    const direct = workspaceOf(vector)?.kernels;
    direct?.[name](byteOffset, vector.byteOffset + 4 * offset, byteOffset + whole * elementBytes);
    return direct === undefined ? 0 : whole;
  }
  if (payload.buffer !== poolMemory) return 0;
  for (let start = 0; start < whole; start += scratchFloats) {
    const count = Math.min(scratchFloats, whole - start);
    const part = bytesOf(vector, offset + start, 4 * count);
    const at = payload.byteOffset + start * elementBytes;
    if (name !== 'unpackBfloat16') copyBytes(part, scratch);
    poolKernels[name](at, scratch.byteOffset, at + count * elementBytes);
    if (name === 'unpackBfloat16') copyBytes(scratch.subarray(0, part.byteLength), part);
  }
  return whole;
}

export const segmentCodecs: Record<FloatType, SegmentCodec> = { float32, bfloat16 };

function bytesOf(vector: Float32Array, offset: number, bytes: number): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset + 4 * offset, bytes);
}

/** Buffer's fill copies as the processor does, `set` word by word where either side is shared memory. */
function copyBytes(from: Uint8Array, to: Uint8Array): void {
  Buffer.prototype.fill.call(to, from, 0, from.byteLength);
}

function floatsOf(payload: Uint8Array): Float32Array {
  return new Float32Array(payload.buffer, payload.byteOffset, payload.byteLength >>> 2);
}

function halvesOf(payload: Uint8Array): Uint16Array {
  return new Uint16Array(payload.buffer, payload.byteOffset, payload.byteLength >>> 1);
}
