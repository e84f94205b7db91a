import { describe, expect, it } from 'vitest';
import {
  allocateReductionVector,
  workspaceOf,
} from '../../../../worker/collective/codec/reduction-vector.js';
import { segmentCodecs } from '../../../../worker/collective/codec/segment-codec.js';
import { elementBytes } from '../../../../worker/collective/geometry.js';
import { rankVector, sameBits } from '../../../support/vectors.js';

describe('a reduction vector', () => {
  it('is aligned shared memory with room to work beside it', () => {
    for (const length of [0, 1, 16_384, 100_001]) {
      const vector = allocateReductionVector(length);
      expect(vector.length).toBe(length);
      expect(vector.buffer).toBeInstanceOf(SharedArrayBuffer);
      expect(vector.byteOffset).toBe(0);
      const { piece } = workspaceOf(vector)!;
      expect(piece.buffer).toBe(vector.buffer);
      expect(piece.byteOffset).toBeGreaterThanOrEqual(vector.byteLength);
      expect(workspaceOf(vector.subarray(1))!.piece).toBe(piece);
    }
    expect(workspaceOf(new Float32Array(4))).toBeNull();
  });

  // Kernels do whole turns, plain code the rest: with payloads in memory of their own, all of it.
  describe.each(['float32', 'bfloat16'] as const)('computes in place what plain code does (%s)', (wire) => {
    it.each([0, 1, 15, 16, 33, 64, 1000, 65_535])('%i elements', (count) => {
      const codec = segmentCodecs[wire];
      const [first, second] = [rankVector(0, count + 8), rankVector(1, count + 8)];
      second.set([Number.NaN, Number.POSITIVE_INFINITY, -0], 5);
      const results = [true, false].map((inPlace) => {
        const vector = inPlace ? allocateReductionVector(count + 8) : new Float32Array(count + 8);
        const bytes = count * elementBytes[wire];
        const payload = inPlace ? workspaceOf(vector)!.piece.subarray(0, bytes) : new Uint8Array(bytes);
        vector.set(first);
        codec.write(vector, 3, payload);
        vector.set(second);
        codec.add(vector, 4, payload);
        codec.store(vector, 5, payload);
        return Float32Array.from(vector);
      });
      expect(sameBits(results[0], results[1])).toBe(true);
    });
  });
});
