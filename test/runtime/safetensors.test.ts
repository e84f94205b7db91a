import { describe, expect, it } from 'vitest';
import { encodeSafetensorsHeader, parseSafetensorsHeader } from '../../runtime/safetensors.js';

const tensors = [
  { name: 'a', dtype: 'F32', shape: [2, 3] },
  { name: 'ü', dtype: 'I64', shape: [] },
  { name: 'none', dtype: 'BF16', shape: [0, 4] },
];

function fileOf(header: object | string, dataBytes = 32): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, Buffer.alloc(dataBytes)]);
}

describe('header', () => {
  it('comes back as it was written, its tensors one after the other on an 8-byte boundary', () => {
    const bytes = encodeSafetensorsHeader(tensors, { format: 'pt' });
    const header = parseSafetensorsHeader(bytes, bytes.length + 32, 'x');
    expect(bytes.length % 8).toBe(0);
    expect(header.dataStart).toBe(bytes.length);
    expect(header.metadata).toEqual({ format: 'pt' });
    const at = bytes.length;
    expect(header.entries).toEqual([
      { ...tensors[0], start: at, end: at + 24 },
      { ...tensors[1], start: at + 24, end: at + 32 },
      { ...tensors[2], start: at + 32, end: at + 32 },
    ]);
  });

  it('reads from any place in a buffer', () => {
    const bytes = encodeSafetensorsHeader(tensors);
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect(parseSafetensorsHeader(shifted.subarray(3), bytes.length + 32, 'x').entries).toHaveLength(3);
  });

  it.each<[string, Buffer, string]>([
    ['nothing', Buffer.alloc(0), 'shorter than 8 bytes'],
    ['a huge header', Buffer.alloc(64, 0xff), 'bytes long'],
    ['a cut header', fileOf({}, 0).subarray(0, 9), 'within its header'],
    ['no JSON', fileOf('nonsense'), 'header of weights.safetensors is not JSON'],
    ['no shape', fileOf({ a: { dtype: 'F32', data_offsets: [0, 4] } }), ': a\\.shape: '],
    [
      'an unknown type',
      fileOf({ a: { dtype: 'F12', shape: [1], data_offsets: [0, 4] } }),
      'unknown type F12',
    ],
    ['a tensor outside', fileOf({ a: { dtype: 'F32', shape: [9], data_offsets: [0, 36] } }), 'ends at byte'],
    ['another size', fileOf({ a: { dtype: 'F32', shape: [3], data_offsets: [0, 4] } }), 'takes 4 bytes'],
    [
      'a negative place',
      fileOf({ a: { dtype: 'F32', shape: [1], data_offsets: [-4, 0] } }),
      ': a\\.data_offsets\\.0: ',
    ],
    ['other metadata', fileOf({ __metadata__: { step: 3 } }), ': __metadata__\\.step: '],
  ])('refuses %s, naming the file', (_, bytes, message) => {
    expect(() => parseSafetensorsHeader(bytes, bytes.length, 'weights.safetensors')).toThrow(
      expect.objectContaining({
        code: 'data-loss',
        message: expect.stringMatching(new RegExp(`(?=.*weights\\.safetensors).*${message}`)),
      }),
    );
  });
});
