import { describe, expect, it } from 'vitest';
import { StateChunk } from '../../proto/gen/coordinator.js';
import { serializeStateChunk } from '../../proto/state-chunk.js';

const generated = (chunk: StateChunk) => Buffer.from(StateChunk.encode(chunk).finish());

describe('serializeStateChunk', () => {
  it.each([0, 1, 127, 128, 16_383, 16_384, 1 << 20, (1 << 21) + 5])(
    'writes %i bytes of data as the generated codec does',
    (length) => {
      const value = Uint8Array.from({ length }, (_, index) => index * 7);
      const chunk: StateChunk = { part: { $case: 'data', value } };
      expect(serializeStateChunk(chunk).equals(generated(chunk))).toBe(true);
    },
  );

  it('takes a part of shared memory', () => {
    const memory = new Uint8Array(new SharedArrayBuffer(64)).map((_, index) => index);
    const chunk: StateChunk = { part: { $case: 'data', value: memory.subarray(8, 40) } };
    const { part } = StateChunk.decode(serializeStateChunk(chunk));
    expect(part).toEqual({ $case: 'data', value: expect.objectContaining({ length: 32 }) });
    expect([...(part!.value as Uint8Array)]).toEqual([...memory.subarray(8, 40)]);
  });

  it('leaves headers to the generated codec', () => {
    const value = { step: 7n, length: 3n, stateDigest: 'a', parameterDigest: 'b', tensors: [] };
    const chunk: StateChunk = { part: { $case: 'header', value } };
    expect(serializeStateChunk(chunk).equals(generated(chunk))).toBe(true);
    expect(serializeStateChunk({ part: undefined })).toHaveLength(0);
  });
});
