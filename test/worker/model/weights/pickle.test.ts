import { expect, test } from 'vitest';
import { readPickle } from '../../../../worker/model/weights/pickle.js';
import { PythonObject } from '../../../../worker/model/weights/python-object.js';
import { createTorchHost } from '../../../../worker/model/weights/torch-objects.js';
import { pickle } from '../../../support/pickles.js';

function read(...parts: (Buffer | string)[]): unknown {
  return readPickle(pickle.of(...parts), 0, createTorchHost('x.pth'), 'x.pth').value;
}

// Each as Python's pickle.dumps(value, 2) writes it, without its memo.
test.each<[string, string, unknown]>([
  ['None', 'N', null],
  ['True', '\x88', true],
  ['False', '\x89', false],
  ['255', 'K\xff', 255],
  ['256', 'M\x00\x01', 256],
  ['-1', 'J\xff\xff\xff\xff', -1],
  ['0 as a long', '\x8a\x00', 0],
  ['-129 as a long', '\x8a\x02\x7f\xff', -129],
  ['2**53 + 1', '\x8a\x07\x01\x00\x00\x00\x00\x00\x20', 2n ** 53n + 1n],
  ['-2**63', '\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80', -(2n ** 63n)],
  ['1.5', 'G\x3f\xf8\x00\x00\x00\x00\x00\x00', 1.5],
  ["'é'", 'X\x02\x00\x00\x00\xc3\xa9', 'é'],
  ["Python 2's 'ab'", 'U\x02ab', 'ab'],
  ['()', ')', []],
  ['(1,)', 'K\x01\x85', [1]],
  ['(1, 2)', 'K\x01K\x02\x86', [1, 2]],
  ['(1, 2, 3)', 'K\x01K\x02K\x03\x87', [1, 2, 3]],
  ['(1, 2, 3, (4,))', '(K\x01K\x02K\x03K\x04\x85t', [1, 2, 3, [4]]],
  ['[1]', ']K\x01a', [1]],
  ['[1, 2]', '](K\x01K\x02e', [1, 2]],
  ["{'a': 1}", '}U\x01aK\x01s', new Map([['a', 1]])],
  [
    "{'a': 1, 2: None}",
    '}(U\x01aK\x01K\x02Nu',
    new Map<unknown, unknown>([
      ['a', 1],
      [2, null],
    ]),
  ],
  ['a value again and again', ']q\x00(K\x07q\x01h\x01j\x01\x00\x00\x00e', [7, 7, 7]],
  ['OrderedDict()', 'ccollections\nOrderedDict\n)R', new Map()],
  ["Python 2's OrderedDict", 'ccollections\nOrderedDict\n]]U\x01aaK\x01aa\x85R', new Map([['a', 1]])],
  ["OrderedDict() by its class's __new__", 'ccollections\nOrderedDict\n)\x81', new Map()],
  ['a protocol 4 text, its frame and its memo', '\x95\x06\0\0\0\0\0\0\0\x8c\x02ab\x94h\0\x86', ['ab', 'ab']],
  ['a long text', '\x8d\x02\0\0\0\0\0\0\0ab', 'ab'],
  ['bytes', 'C\x02ab', Buffer.from('ab')],
  ['a set', '\x8f(K\x01K\x02\x90', [1, 2]],
  ['a frozen set', '(K\x01K\x02\x91', [1, 2]],
  ['a popped value and a popped mark', 'K\x07K\x080(0(K\x09K\x0a1', 7],
  ['a repeated value', 'K\x072\x86', [7, 7]],
  ['a long of four bytes of length', '\x8b\x02\0\0\0\x7f\xff', -129],
  [
    'protocol 0',
    "(dp0\nVa\np1\n(lp2\nI7\naL8L\naF1.5\naI01\naS'b'\nasg1\ng2\ns",
    new Map([['a', [7, 8, 1.5, true, 'b']]]),
  ],
  ['an OrderedDict with _metadata', 'ccollections\nOrderedDict\n)R}U\x09_metadata}sb', new Map()],
])('%s', (_, bytes, value) => {
  expect(read(bytes)).toEqual(value);
});

test.each([
  ['posix', 'system'],
  ['nt', 'system'],
  ['os', 'popen'],
  ['builtins', 'eval'],
  ['__builtin__', 'exec'],
  ['builtins', '__import__'],
  ['subprocess', 'Popen'],
  ['runpy', '_run_code'],
])('%s.%s is refused by its name before anything is done with it', (module, name) => {
  const attempt = () => read(pickle.global(module, name));
  expect(attempt).toThrow(`it asks for ${module}.${name}, which runs programs`);
  expect(attempt).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
});

test.each([
  ['argparse', 'Namespace'],
  ['__builtin__', 'getattr'],
  ['torch', 'load'],
  ['torch.storage', '_load_from_bytes'],
  ['torch.', 'FloatStorage'],
  ['collections', 'OrderedDict.clear'],
  ['', 'toString'],
  ['', '__proto__'],
  ['', 'hasOwnProperty'],
])('%s.%s stays a name, called or not', (module, name) => {
  const object = new PythonObject(`${module}.${name}`);
  expect(read(pickle.global(module, name))).toEqual(object);
  expect(read(pickle.global(module, name), ')R')).toEqual(object);
  expect(read(pickle.global(module, name), ')\x81')).toEqual(object);
});

test('of an unknown object attributes and items are kept, and what a list of it holds is not', () => {
  const found = read('cargparse\nNamespace\n)\x81}U\x02lrK\x01sb') as PythonObject;
  expect(found.state).toEqual(new Map([['lr', 1]]));
  const dict = read('cmunch\nMunch\n)\x81(U\x02lrK\x01u') as PythonObject;
  expect(dict.items).toEqual(new Map([['lr', 1]]));
  expect(read('cmine\nList\n)\x81(K\x01K\x02e')).toEqual(new PythonObject('mine.List'));
});

test('a number of a million digits costs no time', () => {
  const bytes = Buffer.alloc(1_000_000, 7);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  expect(read('\x8b', length, bytes)).toHaveLength(1_000_000);
});

test.each<[string, string, string, RegExp]>([
  ['an empty stack', '', 'data-loss', /takes what is not there/],
  ['a call without arguments', 'ccollections\nOrderedDict\nNR', 'data-loss', /without a list of arguments/],
  ['a call of a value', 'K\x01)R', 'data-loss', /what is no function/],
  ['a call of a storage type', 'ctorch\nFloatStorage\n)R', 'data-loss', /what is no function/],
  ['a list that never began', 't', 'data-loss', /never began/],
  ['reaching below a mark', 'K\x01(\x85', 'data-loss', /takes what is not there/],
  ['appending to a number', 'K\x01K\x02a', 'data-loss', /no list/],
  ['items of a list', ']K\x01K\x02s', 'data-loss', /no dict/],
  ['half an item', '}(K\x01u', 'data-loss', /no dict/],
  ['a forgotten value', 'h\x07', 'data-loss', /never there/],
  ['a name without an end', 'cposix', 'data-loss', /within a name/],
  ['a text longer than the file', 'X\xff\xff\xff\x7f', 'data-loss', /more should follow/],
  ['another kind of id', 'K\x01Q', 'data-loss', /unknown kind of storage/],
  ['a name from the stack', 'U\x05posixU\x06system\x93', 'invalid-argument', /asks for posix\.system/],
  ['a name that is a number', 'K\x01K\x02\x93', 'data-loss', /names no name/],
  ['an old instance', '(iposix\nsystem\n', 'invalid-argument', /asks for posix\.system/],
  ['a number in words', 'Iseven\n', 'data-loss', /number that is none/],
  ['an extension', '\x82\x01', 'invalid-argument', /instruction 0x82/],
  ['a tensor out of nothing', 'ctorch._utils\n_rebuild_tensor_v2\n)R', 'data-loss', /without its storage/],
  ['a parameter out of nothing', 'ctorch._utils\n_rebuild_parameter\n)R', 'data-loss', /without a tensor/],
])('%s is refused', (_, bytes, code, message) => {
  const attempt = () => read(bytes);
  expect(attempt).toThrow(message);
  expect(attempt).toThrow(expect.objectContaining({ code }));
});
