import type { FloatType } from '../../../plan/run-config.js';
import { turnBytes } from '../../arithmetic/kernels.js';
import { workspaceOf } from '../../arithmetic/reduction-vector.js';
import { poolKernels, poolMemory, scratch, scratchValues } from './frame-pool.js';

// Arithmetic between a vector of 32-bit values and a chunk's payload. Payloads are 4-byte aligned and may lie
// anywhere; where kernels reach them they do the whole turns, and plain code the rest.

/** payload := vector[offset …], bit for bit */
export function copyOut(vector: Float32Array, offset: number, payload: Uint8Array): void {
  copyBytes(bytesOf(vector, offset, payload.byteLength), payload);
}

/** vector[offset …] := payload, bit for bit */
export function copyIn(vector: Float32Array, offset: number, payload: Uint8Array): void {
  copyBytes(payload, bytesOf(vector, offset, payload.byteLength));
}

/** payload := payload + vector[offset …], both int32 */
export function addInts(vector: Float32Array, offset: number, payload: Uint8Array): void {
  const sums = intsOf(payload);
  const ints = new Int32Array(vector.buffer, vector.byteOffset + 4 * offset, sums.length);
  const done = withVector('addInt32', 4, vector, offset, payload);
  for (let i = done; i < sums.length; i += 1) sums[i] += ints[i];
}

/**
 * Rounds sums, int32, to float32, then to `wire`, to nearest, ties to even. Answers where they are now: from the
 * sums' own first byte on.
 */
export function finishSums(sums: Uint8Array, wire: FloatType): Uint8Array {
  const ints = intsOf(sums);
  const isFull = wire === 'float32';
  const finished = isFull ? sums : sums.subarray(0, sums.byteLength / 2);
  const kernels = sums.buffer === poolMemory ? poolKernels : workspaceOf(sums)?.kernels;
  const whole = kernels === undefined ? 0 : wholeTurns(finished);
  const { byteOffset } = finished;
  if (whole > 0)
    kernels?.[isFull ? 'intsToFloat32' : 'intsToBfloat16'](byteOffset, byteOffset, byteOffset + whole);
  if (isFull) {
    const floats = new Float32Array(sums.buffer, byteOffset, ints.length);
    for (let i = whole / 4; i < ints.length; i += 1) floats[i] = ints[i];
  } else {
    const halves = halvesOf(finished);
    for (let i = whole / 2; i < ints.length; i += 1) halves[i] = roundToBfloat16(ints[i]);
  }
  return finished;
}

/** vector[offset …] := payload as float32 */
export function storeFloats(
  vector: Float32Array,
  offset: number,
  payload: Uint8Array,
  wire: FloatType,
): void {
  if (wire === 'float32') {
    copyIn(vector, offset, payload);
    return;
  }
  const halves = halvesOf(payload);
  const bits = new Int32Array(vector.buffer, vector.byteOffset + 4 * offset, halves.length);
  const done = withVector('bfloat16ToFloat32', 2, vector, offset, payload);
  for (let i = done; i < bits.length; i += 1) bits[i] = halves[i] << 16;
}

/** A float and its bits. */
const single = new Float32Array(1);
const singleBits = new Int32Array(single.buffer);

/** Of a finite value: to nearest, ties to even. */
function roundToBfloat16(value: number): number {
  single[0] = value;
  const bits = singleBits[0];
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/**
 * Runs a kernel on the whole turns of a payload that lies where kernels reach it: beside the vector, or in
 * the pool, where values are copied from the vector or to it piece by piece. Returns how many elements are
 * done; the rest is for the caller.
 */
function withVector(
  name: 'addInt32' | 'bfloat16ToFloat32',
  elementBytes: number,
  vector: Float32Array,
  offset: number,
  payload: Uint8Array,
): number {
  const whole = wholeTurns(payload) / elementBytes;
  if (whole === 0) return 0;
  if (payload.buffer === vector.buffer) {
    const { byteOffset } = payload;
    const direct = workspaceOf(vector)?.kernels;
    direct?.[name](byteOffset, vector.byteOffset + 4 * offset, byteOffset + whole * elementBytes);
    return direct === undefined ? 0 : whole;
  }
  if (payload.buffer !== poolMemory) return 0;
  for (let start = 0; start < whole; start += scratchValues) {
    const count = Math.min(scratchValues, whole - start);
    const part = bytesOf(vector, offset + start, 4 * count);
    const at = payload.byteOffset + start * elementBytes;
    if (name === 'addInt32') copyBytes(part, scratch);
    poolKernels[name](at, scratch.byteOffset, at + count * elementBytes);
    if (name === 'bfloat16ToFloat32') copyBytes(scratch.subarray(0, part.byteLength), part);
  }
  return whole;
}

/** Bytes. */
function wholeTurns({ byteLength }: Uint8Array): number {
  return Math.floor(byteLength / turnBytes) * turnBytes;
}

function bytesOf(vector: Float32Array, offset: number, bytes: number): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset + 4 * offset, bytes);
}

/** Buffer's fill copies as the processor does, `set` word by word where either side is shared memory. */
export function copyBytes(from: Uint8Array, to: Uint8Array): void {
  Buffer.prototype.fill.call(to, from, 0, from.byteLength);
}

function intsOf(payload: Uint8Array): Int32Array {
  return new Int32Array(payload.buffer, payload.byteOffset, payload.byteLength >>> 2);
}

function halvesOf(payload: Uint8Array): Uint16Array {
  return new Uint16Array(payload.buffer, payload.byteOffset, payload.byteLength >>> 1);
}
