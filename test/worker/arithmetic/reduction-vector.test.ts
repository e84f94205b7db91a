import { describe, expect, it } from 'vitest';
import {
  allocateReductionVector,
  allocateSumMemory,
  workspaceOf,
} from '../../../worker/arithmetic/reduction-vector.js';

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

  it('may have as much room again, in pages of its own', () => {
    for (const length of [1, 16_384, 100_001]) {
      const { memory, vector, own } = allocateSumMemory(length);
      expect([vector.buffer, own.buffer]).toEqual([memory.buffer, memory.buffer]);
      expect([vector.byteOffset, own.length]).toEqual([0, length]);
      expect(own.byteOffset % 65_536).toBe(0);
      expect(own.byteOffset).toBeGreaterThanOrEqual(vector.byteLength);
      expect(workspaceOf(vector)!.piece.byteOffset).toBeGreaterThanOrEqual(own.byteOffset + own.byteLength);
    }
  });
});
