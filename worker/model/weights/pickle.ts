import { type ByteReader, readBytes } from './byte-reader.js';
import { damaged, unsuitable } from './file-faults.js';
import { PythonObject } from './python-object.js';

/**
 * Decides what a pickle may build. Each may throw; nothing that a pickle names is ever looked up elsewhere.
 */
export interface PickleHost {
  /** What stands for the Python object `module.name`. */
  resolve(module: string, name: string): unknown;
  /** What the resolved object `callable` makes of its arguments. */
  call(callable: unknown, args: readonly unknown[]): unknown;
  /** What an id stands for whose data lie outside the pickle. */
  load(id: unknown): unknown;
}

interface Machine {
  readonly reader: ByteReader;
  readonly host: PickleHost;
  readonly file: string;
  readonly memo: Map<number, unknown>;
  /** Lengths of the stack at each open mark. */
  readonly marks: number[];
  stack: unknown[];
}

/**
 * Reads one pickle of protocol 0 to 5 (Python's Lib/pickletools.py) from `start` on: dict is a Map; list,
 * tuple and set are arrays, bytes are a Uint8Array, an integer beyond 2^53 is a bigint. Returns its value and
 * where it ends. Throws data-loss when it is cut short or makes no sense, invalid-argument for instructions
 * that no pickle in a file has.
 */
export function readPickle(
  bytes: Uint8Array,
  start: number,
  host: PickleHost,
  file: string,
): { value: unknown; end: number } {
  const reader = readBytes(bytes, start, file);
  const machine: Machine = { reader, host, file, memo: new Map(), marks: [], stack: [] };
  for (;;) {
    const code = reader.uint8();
    if (code === stop) return { value: pop(machine), end: reader.position };
    const run = instructions.get(code);
    if (run === undefined) {
      throw unsuitable(
        file,
        `its pickle has the instruction 0x${code.toString(16)}, which checkpoints do not have`,
      );
    }
    run(machine);
  }
}

const stop = 0x2e;
const longestInteger = 1024;

/**
 * By the names of Lib/pickletools.py. Left out: copyreg's registry of extensions and buffers that lie outside
 * the pickle.
 */
const instructions = new Map<number, (machine: Machine) => void>([
  [0x80, ({ reader }) => void reader.uint8()], // PROTO
  [0x95, ({ reader }) => void reader.size()], // FRAME
  [0x28, ({ marks, stack }) => void marks.push(stack.length)], // MARK
  [0x30, popAny], // POP
  [0x31, (m) => void popToMark(m)], // POP_MARK
  [0x32, (m) => push(m, top(m))], // DUP
  [0x4e, (m) => push(m, null)], // NONE
  [0x88, (m) => push(m, true)], // NEWTRUE
  [0x89, (m) => push(m, false)], // NEWFALSE
  [0x49, (m) => push(m, readInteger(m, m.reader.line()))], // INT
  [0x4c, (m) => push(m, readInteger(m, m.reader.line()))], // LONG
  [0x4a, (m) => push(m, m.reader.int32())], // BININT
  [0x4b, (m) => push(m, m.reader.uint8())], // BININT1
  [0x4d, (m) => push(m, m.reader.uint16())], // BININT2
  [0x8a, (m) => push(m, readLong(m.reader.take(m.reader.uint8())))], // LONG1
  [0x8b, (m) => push(m, readLong(m.reader.take(m.reader.uint32())))], // LONG4
  [0x46, (m) => push(m, Number(m.reader.line()))], // FLOAT
  [0x47, (m) => push(m, m.reader.float64())], // BINFLOAT
  [0x53, (m) => push(m, readQuoted(m.reader.line()))], // STRING
  [0x56, (m) => push(m, m.reader.line())], // UNICODE
  [0x58, (m) => push(m, readText(m.reader.take(m.reader.uint32())))], // BINUNICODE
  [0x8c, (m) => push(m, readText(m.reader.take(m.reader.uint8())))], // SHORT_BINUNICODE
  [0x8d, (m) => push(m, readText(m.reader.take(m.reader.size())))], // BINUNICODE8
  [0x55, (m) => push(m, readText(m.reader.take(m.reader.uint8())))], // SHORT_BINSTRING, Python 2's str
  [0x54, (m) => push(m, readText(m.reader.take(m.reader.uint32())))], // BINSTRING
  [0x43, (m) => push(m, m.reader.take(m.reader.uint8()))], // SHORT_BINBYTES
  [0x42, (m) => push(m, m.reader.take(m.reader.uint32()))], // BINBYTES
  [0x8e, (m) => push(m, m.reader.take(m.reader.size()))], // BINBYTES8
  [0x96, (m) => push(m, m.reader.take(m.reader.size()))], // BYTEARRAY8
  [0x7d, (m) => push(m, new Map())], // EMPTY_DICT
  [0x64, (m) => pushDict(m, popToMark(m))], // DICT
  [0x5d, (m) => push(m, [])], // EMPTY_LIST
  [0x6c, (m) => push(m, popToMark(m))], // LIST
  [0x8f, (m) => push(m, [])], // EMPTY_SET
  [0x91, (m) => push(m, popToMark(m))], // FROZENSET
  [0x29, (m) => push(m, [])], // EMPTY_TUPLE
  [0x74, (m) => push(m, popToMark(m))], // TUPLE
  [0x85, (m) => push(m, popMany(m, 1))], // TUPLE1
  [0x86, (m) => push(m, popMany(m, 2))], // TUPLE2
  [0x87, (m) => push(m, popMany(m, 3))], // TUPLE3
  [0x61, (m) => append(m, popMany(m, 1))], // APPEND
  [0x65, (m) => append(m, popToMark(m))], // APPENDS
  [0x90, (m) => append(m, popToMark(m))], // ADDITEMS
  [0x73, (m) => setItems(m, popMany(m, 2))], // SETITEM
  [0x75, (m) => setItems(m, popToMark(m))], // SETITEMS
  [0x70, (m) => void m.memo.set(Number(m.reader.line()), top(m))], // PUT
  [0x71, (m) => void m.memo.set(m.reader.uint8(), top(m))], // BINPUT
  [0x72, (m) => void m.memo.set(m.reader.uint32(), top(m))], // LONG_BINPUT
  [0x94, (m) => void m.memo.set(m.memo.size, top(m))], // MEMOIZE
  [0x67, (m) => push(m, recall(m, Number(m.reader.line())))], // GET
  [0x68, (m) => push(m, recall(m, m.reader.uint8()))], // BINGET
  [0x6a, (m) => push(m, recall(m, m.reader.uint32()))], // LONG_BINGET
  [0x63, (m) => push(m, m.host.resolve(m.reader.line(), m.reader.line()))], // GLOBAL
  [0x93, resolveFromStack], // STACK_GLOBAL
  [0x50, (m) => push(m, m.host.load(m.reader.line()))], // PERSID
  [0x51, (m) => push(m, m.host.load(pop(m)))], // BINPERSID
  [0x52, reduce],
  [0x81, reduce], // NEWOBJ: a class, and the arguments of its __new__
  [0x92, callWithKeywords], // NEWOBJ_EX
  [0x69, instantiate], // INST
  [0x6f, instantiateFromStack], // OBJ
  [0x62, build],
]);

function reduce(m: Machine): void {
  const args = pop(m);
  if (!Array.isArray(args)) throw damaged(m.file, 'its pickle calls something without a list of arguments');
  push(m, m.host.call(pop(m), args));
}

function callWithKeywords(m: Machine): void {
  pop(m);
  reduce(m);
}

function instantiate(m: Machine): void {
  const callable = m.host.resolve(m.reader.line(), m.reader.line());
  push(m, m.host.call(callable, popToMark(m)));
}

function instantiateFromStack(m: Machine): void {
  const [callable, ...args] = popToMark(m);
  push(m, m.host.call(callable, args));
}

function resolveFromStack(m: Machine): void {
  const [module, name] = popMany(m, 2);
  if (typeof module !== 'string' || typeof name !== 'string')
    throw damaged(m.file, 'its pickle names no name');
  push(m, m.host.resolve(module, name));
}

/**
 * Attributes are kept for objects of unknown classes; those of dicts and tensors say nothing about their
 * values.
 */
function build(m: Machine): void {
  const state = pop(m);
  const object = top(m);
  if (object instanceof PythonObject) object.state = state;
}

function append(m: Machine, items: readonly unknown[]): void {
  const list = top(m);
  if (list instanceof PythonObject) return;
  if (!Array.isArray(list)) throw damaged(m.file, 'its pickle appends to what is no list');
  for (const item of items) list.push(item);
}

function pushDict(m: Machine, items: readonly unknown[]): void {
  push(m, new Map());
  setItems(m, items);
}

function setItems(m: Machine, items: readonly unknown[]): void {
  const object = top(m);
  const dict = object instanceof PythonObject ? object.items : object;
  if (!(dict instanceof Map) || items.length % 2 !== 0) {
    throw damaged(m.file, 'its pickle sets items of what is no dict');
  }
  for (let index = 0; index < items.length; index += 2) dict.set(items[index], items[index + 1]);
}

/** Of a value, or of a mark with nothing on it, as Python does. */
function popAny(m: Machine): void {
  if (m.marks.length > 0 && m.marks.at(-1) === m.stack.length) m.marks.pop();
  else pop(m);
}

function push(m: Machine, value: unknown): void {
  m.stack.push(value);
}

function pop(m: Machine): unknown {
  return popMany(m, 1)[0];
}

function popMany(m: Machine, count: number): unknown[] {
  if (m.stack.length - (m.marks.at(-1) ?? 0) < count)
    throw damaged(m.file, 'its pickle takes what is not there');
  return m.stack.splice(m.stack.length - count);
}

function popToMark(m: Machine): unknown[] {
  const mark = m.marks.pop();
  if (mark === undefined) throw damaged(m.file, 'its pickle ends a list that never began');
  return m.stack.splice(mark);
}

function top(m: Machine): unknown {
  if (m.stack.length === 0) throw damaged(m.file, 'its pickle takes what is not there');
  return m.stack.at(-1);
}

function recall(m: Machine, key: number): unknown {
  if (!m.memo.has(key)) throw damaged(m.file, 'its pickle repeats what was never there');
  return m.memo.get(key);
}

function readText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

/** Two's complement, little-endian. */
function readLong(bytes: Uint8Array): number | bigint | Uint8Array {
  if (bytes.length === 0) return 0;
  // Nothing that is read of a checkpoint is as large, and the time to convert it grows with its square.
  if (bytes.length > longestInteger) return bytes;
  const unsigned = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
  return narrow(BigInt.asIntN(8 * bytes.length, unsigned));
}

/** Decimal, with Python 2's L at the end; `00` and `01` are False and True. */
function readInteger({ file }: Machine, text: string): number | bigint | boolean {
  if (text === '00' || text === '01') return text === '01';
  if (!/^-?\d{1,1000}L?$/.test(text)) throw damaged(file, 'its pickle has a number that is none');
  return narrow(BigInt(text.replace('L', '')));
}

function narrow(value: bigint): number | bigint {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

/** Python's repr of a str, whose escapes are left as they are: names have none. */
function readQuoted(line: string): string {
  return line.slice(1, -1);
}
