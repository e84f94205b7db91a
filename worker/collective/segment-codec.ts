import type { FloatType } from '../../plan/run-config.js';

/**
 * Arithmetic between a vector and a chunk's payload in one wire type. Payloads are 4-byte aligned. Sums are formed
 * in float32; NaN and infinities survive.
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
    const wire = floatsOf(payload);
    wire.set(vector.subarray(offset, offset + wire.length));
  },
  add(vector, offset, payload) {
    const wire = floatsOf(payload);
    const count = wire.length;
    for (let i = 0; i < count; i += 1) wire[i] = wire[i] + vector[offset + i];
  },
  store(vector, offset, payload) {
    vector.set(floatsOf(payload), offset);
  },
};

/** Floats and their bits; small enough to stay in the processor's nearest cache between the passes. */
const scratch = new Float32Array(4096);
const scratchBits = new Int32Array(scratch.buffer);

const bfloat16: SegmentCodec = {
  write(vector, offset, payload) {
    const wire = halvesOf(payload);
    for (let start = 0; start < wire.length; start += scratch.length) {
      const count = Math.min(scratch.length, wire.length - start);
      const base = offset + start;
      scratch.set(vector.subarray(base, base + count));
      packScratch(wire, start, count);
    }
  },
  add(vector, offset, payload) {
    const wire = halvesOf(payload);
    for (let start = 0; start < wire.length; start += scratch.length) {
      const count = Math.min(scratch.length, wire.length - start);
      const base = offset + start;
      for (let i = 0; i < count; i += 1) scratchBits[i] = wire[start + i] << 16;
      for (let i = 0; i < count; i += 1) scratch[i] = scratch[i] + vector[base + i];
      packScratch(wire, start, count);
    }
  },
  store(vector, offset, payload) {
    const wire = halvesOf(payload);
    const bits = new Int32Array(vector.buffer, vector.byteOffset + 4 * offset, wire.length);
    for (let i = 0; i < bits.length; i += 1) bits[i] = wire[i] << 16;
  },
};

/** Round to nearest, ties to even; a NaN stays one (its upper bits alone might read as infinity). */
function packScratch(wire: Uint16Array, start: number, count: number): void {
  for (let i = 0; i < count; i += 1) {
    const bits = scratchBits[i];
    wire[start + i] =
      (bits & 0x7fffffff) > 0x7f800000 ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  }
}

export const segmentCodecs: Record<FloatType, SegmentCodec> = { float32, bfloat16 };

function floatsOf(payload: Uint8Array): Float32Array {
  return new Float32Array(payload.buffer, payload.byteOffset, payload.byteLength >>> 2);
}

function halvesOf(payload: Uint8Array): Uint16Array {
  return new Uint16Array(payload.buffer, payload.byteOffset, payload.byteLength >>> 1);
}
