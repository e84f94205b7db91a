import { expect, test } from 'vitest';
import { RondoError } from '../../../../runtime/errors.js';
import { readWeights as readDicts } from '../../../../worker/model/weights/read-weights.js';
import type { TensorDict } from '../../../../worker/model/weights/weight-tensor.js';
import { pickle, tensorPickle } from '../../../support/pickles.js';
import { expectWhatPyTorchWrote, readWeightFile, valuesOf } from '../../../support/weight-files.js';
import { zipOf } from '../../../support/zip-file.js';

/** The tensors of a file that has them in one dict. */
function readWeights(bytes: Uint8Array, file?: string): TensorDict['tensors'] {
  const dicts = readDicts(bytes, file);
  expect(dicts).toHaveLength(1);
  return dicts[0]!.tensors;
}

const formats = ['tiny.safetensors', 'zip.pth', 'legacy.pth'];

test.each(formats)('%s is known by its content and reads as what PyTorch wrote', (name) => {
  expectWhatPyTorchWrote(readWeights(readWeightFile(name), name));
});

test.each(formats)('%s reads alike from any byte offset', (name) => {
  const bytes = readWeightFile(name);
  const shifted = Buffer.alloc(bytes.length + 3).subarray(3);
  bytes.copy(shifted);
  expectWhatPyTorchWrote(readWeights(shifted, name));
});

test('a checkpoint that calls a program is refused by the name of what it calls', () => {
  const attempt = () => readWeights(readWeightFile('evil.pth'), 'evil.pth');
  expect(attempt).toThrow(/evil\.pth cannot be read: it asks for (posix|nt)\.system, which runs programs/);
  expect(attempt).toThrow(expect.objectContaining({ code: 'invalid-argument', exitCode: 2 }));
});

test.each(formats)('%s cut short anywhere is refused as damaged', (name) => {
  const bytes = readWeightFile(name);
  for (let length = 0; length < bytes.length; length += 1) {
    expect(() => readWeights(bytes.subarray(0, length), name)).toThrow(
      expect.objectContaining({ code: 'data-loss', remedy: expect.any(String) }),
    );
  }
});

test.each(['zip.pth', 'legacy.pth'])('%s with any byte changed reads, or is refused in words', (name) => {
  const bytes = readWeightFile(name);
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes);
    changed[at]! ^= 0x55;
    try {
      readWeights(changed, name);
    } catch (thrown) {
      expect(thrown, `byte ${at}`).toBeInstanceOf(RondoError);
    }
  }
});

test('a changed number in an archive does not pass its checksum', () => {
  const bytes = readWeightFile('zip.pth');
  const number = Buffer.from(Float32Array.of(0.875).buffer);
  bytes[bytes.indexOf(number) + 1]! ^= 1;
  expect(() => readWeights(bytes)).toThrow(/checksum/);
});

const data = { 'x/data/0': new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer) };
const whole = { count: 6, shape: [2, 3], strides: [3, 1] };

function archive(root: Buffer, more: Readonly<Record<string, Uint8Array>> = data): Buffer {
  return zipOf({ 'x/data.pkl': pickle.of(root), ...more });
}

test.each(['state_dict', 'model', 'ema', 'net', 'anything'])(
  'weights under "%s" are found beside what else a training script keeps',
  (key) => {
    const rest = [pickle.text('epoch'), pickle.integer(3), pickle.text('best'), 'G?\xd0\0\0\0\0\0\0'];
    const dict = pickle.dict(pickle.text('a'), tensorPickle(whole));
    const dicts = readDicts(archive(pickle.dict(...rest, pickle.text(key), dict)));
    expect(dicts.map(({ path, tensors }) => [path, [...tensors.keys()]])).toEqual([[key, ['a']]]);
    expect(valuesOf(dicts[0]!.tensors.get('a')!)).toEqual([1, 2, 3, 4, 5, 6]);
  },
);

test.each<[string, Parameters<typeof tensorPickle>[0], (number | string)[]]>([
  ['every other value', { count: 6, offset: 1, shape: [3], strides: [2] }, [2, 4, 6]],
  ['a transposed matrix', { count: 6, shape: [3, 2], strides: [1, 3] }, [1, 4, 2, 5, 3, 6]],
  [
    'axes of one, whatever their stride',
    { count: 6, shape: [2, 1, 3], strides: [3, 99, 1] },
    [1, 2, 3, 4, 5, 6],
  ],
  ['a repeated value', { count: 6, offset: 2, shape: [2, 2], strides: [0, 1] }, [3, 4, 3, 4]],
  ['nothing', { count: 6, offset: 6, shape: [0, 5], strides: [5, 1] }, []],
  ['a scalar', { count: 6, offset: 5, shape: [], strides: [] }, [6]],
])('strides are honoured: %s', (_, tensor, values) => {
  const read = readWeights(archive(pickle.dict(pickle.text('a'), tensorPickle(tensor)))).get('a')!;
  expect(read.shape).toEqual(tensor.shape);
  expect(valuesOf(read)).toEqual(values);
});

test('a storage within another, as before 1.6, begins where it says', () => {
  const { text, integer, tuple, none } = pickle;
  const view = tuple(text('v'), integer(2), integer(3));
  const root = pickle.dict(
    ...[text('a'), tensorPickle({ count: 6, shape: [3], strides: [1], view })],
    ...[text('b'), tensorPickle({ count: 6, offset: 4, shape: [2], strides: [1], view: none })],
  );
  const head = readWeightFile('legacy.pth').subarray(0, 137);
  const keys = pickle.of(tuple(text('0')));
  const length = Buffer.from(BigUint64Array.of(6n).buffer);
  const tensors = readWeights(Buffer.concat([head, pickle.of(root), keys, length, data['x/data/0']]));
  expect([...tensors].map(([name, tensor]) => [name, valuesOf(tensor)])).toEqual([
    ['a', [3, 4, 5]],
    ['b', [5, 6]],
  ]);
});

const inDict = (tensor: Parameters<typeof tensorPickle>[0]) =>
  pickle.dict(pickle.text('a'), tensorPickle(tensor));

test.each<[string, Buffer, string, RegExp]>([
  ['a list', archive(Buffer.from(']')), 'invalid-argument', /no tensors/],
  [
    'a dict of no tensors',
    archive(pickle.dict(pickle.text('a'), pickle.integer(1))),
    'invalid-argument',
    /no tensors/,
  ],
  [
    'an archive of something else',
    zipOf({ 'readme.txt': Buffer.of(1) }),
    'invalid-argument',
    /without the data\.pkl/,
  ],
  [
    'a packed archive',
    zipOf({ 'x/data.pkl': Buffer.of(1) }, { method: 8 }),
    'invalid-argument',
    /compressed/,
  ],
  ['another pickle', pickle.of(pickle.text('hello')), 'invalid-argument', /no checkpoint of PyTorch/],
  [
    'numbers of a big-endian machine',
    archive(inDict(whole), { ...data, 'x/byteorder': Buffer.from('big') }),
    'invalid-argument',
    /little-endian/,
  ],
  [
    'a tensor beyond its storage',
    archive(inDict({ ...whole, offset: 1 })),
    'data-loss',
    /"a" reaches beyond/,
  ],
  [
    'a storage of another length',
    archive(inDict({ ...whole, count: 7 })),
    'data-loss',
    /24 bytes, but should have 28/,
  ],
  ['a storage that is not there', archive(inDict({ ...whole, key: '9' })), 'data-loss', /no x\/data\/9/],
  [
    'a tensor as large as the memory',
    archive(inDict({ count: 6, shape: [2 ** 30, 2 ** 20], strides: [0, 0] })),
    'data-loss',
    /would have 1125899906842624 values/,
  ],
])('%s is refused', (_, bytes, code, message) => {
  const attempt = () => readWeights(bytes, 'w.pth');
  expect(attempt).toThrow(expect.objectContaining({ code, remedy: expect.any(String) }));
  expect(attempt).toThrow(message);
  expect(attempt).toThrow(/^w\.pth/);
});
