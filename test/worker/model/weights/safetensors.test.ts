import { expect, test } from 'vitest';
import { RondoError } from '../../../../runtime/errors.js';
import { readSafetensors, writeSafetensors } from '../../../../worker/model/weights/safetensors.js';
import { expectWhatPyTorchWrote, readWeightFile } from '../../../support/weight-files.js';

const tiny = readWeightFile('tiny.safetensors');

test('reads what PyTorch wrote: every type, shape and value', () => {
  expectWhatPyTorchWrote(readSafetensors(tiny));
});

test('reads from any byte offset', () => {
  const shifted = Buffer.alloc(tiny.length + 3).subarray(3);
  tiny.copy(shifted);
  expect(readSafetensors(shifted)).toEqual(readSafetensors(tiny));
});

/** A file with the given header and `dataBytes` bytes after it. */
function fileOf(header: unknown, data: Uint8Array): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, data]);
}

test('widens every half-precision number as the hardware would', () => {
  const patterns = [0x0000, 0x8000, 0x0001, 0x03ff, 0x0400, 0x3c00, 0xc000, 0x7bff, 0x7c00, 0xfc00, 0x7e00];
  const file = fileOf(
    { x: { dtype: 'F16', shape: [11], data_offsets: [0, 22] } },
    new Uint8Array(Uint16Array.from(patterns).buffer),
  );
  expect([...readSafetensors(file).get('x')!.values]).toEqual([
    0,
    -0,
    2 ** -24,
    1023 * 2 ** -24,
    2 ** -14,
    1,
    -2,
    65504,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.NaN,
  ]);
});

test('reads integers and doubles of each width', () => {
  const data = new Uint8Array(64).fill(0xff);
  new DataView(data.buffer).setFloat64(0, Math.PI, true);
  const entry = (dtype: string, start: number, end: number) => ({
    dtype,
    shape: [1],
    data_offsets: [start, end],
  });
  const header = {
    F64: entry('F64', 0, 8),
    I32: entry('I32', 8, 12),
    U32: entry('U32', 12, 16),
    I16: entry('I16', 16, 18),
    U16: entry('U16', 18, 20),
    I8: entry('I8', 20, 21),
    U8: entry('U8', 21, 22),
    U64: entry('U64', 22, 30),
    I64: entry('I64', 30, 38),
  };
  const tensors = readSafetensors(fileOf(header, data));
  const values = Object.fromEntries([...tensors].map(([name, { values }]) => [name, values[0]]));
  expect(values).toEqual({
    F64: Math.PI,
    I32: -1,
    U32: 2 ** 32 - 1,
    I16: -1,
    U16: 65535,
    I8: -1,
    U8: 255,
    U64: 2n ** 64n - 1n,
    I64: -1n,
  });
});

test('writes float32 tensors that read back the same, metadata beside them', () => {
  const tensors = [
    { name: 'a', shape: [2, 3], values: Float32Array.of(1, 2, 3, -4, 5.5, 1e-30) },
    { name: 'scalar', shape: [], values: Float32Array.of(7) },
    { name: 'empty', shape: [0, 4], values: new Float32Array(0) },
  ];
  const file = Buffer.concat([...writeSafetensors(tensors, { format: 'pt' })]);
  expect(file.includes('"__metadata__":{"format":"pt"}')).toBe(true);
  const read = readSafetensors(file);
  for (const { name, shape, values } of tensors) {
    expect(read.get(name)).toMatchObject({ dtype: 'F32', shape });
    expect([...read.get(name)!.values]).toEqual([...values]);
  }
});

test('writing a tensor whose shape does not fit its values is refused', () => {
  const wrong = [{ name: 'a', shape: [2], values: new Float32Array(3) }];
  expect(() => [...writeSafetensors(wrong)]).toThrow('"a" of shape [2] has 3 values');
});

const eight = new Uint8Array(8);
const f32 = (start: number, end: number) => ({
  dtype: 'F32',
  shape: [(end - start) / 4],
  data_offsets: [start, end],
});

test.each<[string, Buffer, RegExp]>([
  ['an empty file', Buffer.alloc(0), /shorter than 8 bytes/],
  ['a header longer than the file', fileOf({}, eight).subarray(0, 9), /ends within its header/],
  ['an absurd header length', Buffer.alloc(64, 0xff), /header would be/],
  ['a header that is no JSON', fileOf('{"a":', eight), /not JSON/],
  ['a header that is null', fileOf('null', eight), /expected object/],
  ['a header that is a list', fileOf('[]', eight), /expected object/],
  ['an entry without offsets', fileOf({ a: { dtype: 'F32', shape: [1] } }, eight), /: a\.data_offsets: /],
  ['a negative shape', fileOf({ a: { ...f32(0, 4), shape: [-1] } }, eight), /: a\.shape\.0: /],
  ['an unknown type', fileOf({ a: { ...f32(0, 4), dtype: 'F7' } }, eight), /"a" has the unknown type F7/],
  ['offsets outside the file', fileOf({ a: f32(0, 16) }, eight), /"a" ends at byte/],
  ['offsets in the wrong order', fileOf({ a: { ...f32(0, 4), data_offsets: [4, 0] } }, eight), /"a"/],
  [
    'a size that does not fit the shape',
    fileOf({ a: { ...f32(0, 8), shape: [1] } }, eight),
    /"a".* takes 8 bytes/,
  ],
  ['tensors that overlap', fileOf({ a: f32(0, 8), b: f32(4, 8) }, eight), /"a" and "b" overlap/],
])('refuses %s', (_what, file, message) => {
  const read = () => readSafetensors(file, 'weights.safetensors');
  expect(read).toThrow(RondoError);
  expect(read).toThrow(message);
  expect(read).toThrow('weights.safetensors');
  expect(read).toThrow(expect.objectContaining({ code: 'data-loss' }));
});

test('refuses a file cut short anywhere', () => {
  for (let length = 0; length < tiny.length; length += 1) {
    expect(() => readSafetensors(tiny.subarray(0, length))).toThrow(RondoError);
  }
});
