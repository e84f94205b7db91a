import { type ByteReader, readBytes } from './byte-reader.js';
import { damaged, unsuitable } from './file-faults.js';

/** Decides what a pickle may build. Each may throw; nothing that a pickle names is ever looked up elsewhere. */
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
 * Reads one pickle of protocol 2 (Python's Lib/pickletools.py) from `start` on: dict is a Map, list and tuple are arrays, an
 * integer beyond 2^53 is a bigint. Returns its value and where it ends. Throws data-loss when it is cut short or makes no
 * sense, invalid-argument for instructions that checkpoints do not need.
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
        `its pickle has the instruction 0x${code.toString(16)}, which checkpoints of protocol 2 do not have`,
      );
    }
    run(machine);
  }
}

const stop = 0x2e;

/** By the names of Lib/pickletools.py. */
const instructions = new Map<number, (machine: Machine) => void>([
  [0x80, ({ reader }) => void reader.uint8()], // PROTO
  [0x28, ({ marks, stack }) => void marks.push(stack.length)], // MARK
  [0x30, (m) => void pop(m)], // POP
  [0x4e, (m) => push(m, null)], // NONE
  [0x88, (m) => push(m, true)], // NEWTRUE
  [0x89, (m) => push(m, false)], // NEWFALSE
  [0x4a, (m) => push(m, m.reader.int32())], // BININT
  [0x4b, (m) => push(m, m.reader.uint8())], // BININT1
  [0x4d, (m) => push(m, m.reader.uint16())], // BININT2
  [0x8a, (m) => push(m, readLong(m.reader.take(m.reader.uint8())))], // LONG1
  [0x47, (m) => push(m, m.reader.float64())], // BINFLOAT
  [0x58, (m) => push(m, readText(m.reader.take(m.reader.uint32())))], // BINUNICODE
  [0x55, (m) => push(m, readText(m.reader.take(m.reader.uint8())))], // SHORT_BINSTRING, Python 2's str
  [0x54, (m) => push(m, readText(m.reader.take(m.reader.uint32())))], // BINSTRING
  [0x7d, (m) => push(m, new Map())], // EMPTY_DICT
  [0x5d, (m) => push(m, [])], // EMPTY_LIST
  [0x29, (m) => push(m, [])], // EMPTY_TUPLE
  [0x74, (m) => push(m, popToMark(m))], // TUPLE
  [0x85, (m) => push(m, popMany(m, 1))], // TUPLE1
  [0x86, (m) => push(m, popMany(m, 2))], // TUPLE2
  [0x87, (m) => push(m, popMany(m, 3))], // TUPLE3
  [0x61, (m) => append(m, popMany(m, 1))], // APPEND
  [0x65, (m) => append(m, popToMark(m))], // APPENDS
  [0x73, (m) => setItems(m, popMany(m, 2))], // SETITEM
  [0x75, (m) => setItems(m, popToMark(m))], // SETITEMS
  [0x71, (m) => void m.memo.set(m.reader.uint8(), top(m))], // BINPUT
  [0x72, (m) => void m.memo.set(m.reader.uint32(), top(m))], // LONG_BINPUT
  [0x68, (m) => push(m, recall(m, m.reader.uint8()))], // BINGET
  [0x6a, (m) => push(m, recall(m, m.reader.uint32()))], // LONG_BINGET
  [0x63, (m) => push(m, m.host.resolve(m.reader.line(), m.reader.line()))], // GLOBAL
  [0x51, (m) => push(m, m.host.load(pop(m)))], // BINPERSID
  [0x52, reduce],
  [0x62, build],
]);

function reduce(m: Machine): void {
  const args = pop(m);
  if (!Array.isArray(args)) throw damaged(m.file, 'its pickle calls something without a list of arguments');
  push(m, m.host.call(pop(m), args));
}

/** Attributes of an OrderedDict, such as a state dict's `_metadata`: they say nothing about the values. */
function build(m: Machine): void {
  pop(m);
  if (!(top(m) instanceof Map)) throw unsuitable(m.file, 'its pickle sets the inside of an object');
}

function append(m: Machine, items: readonly unknown[]): void {
  const list = top(m);
  if (!Array.isArray(list)) throw damaged(m.file, 'its pickle appends to what is no list');
  for (const item of items) list.push(item);
}

function setItems(m: Machine, items: readonly unknown[]): void {
  const dict = top(m);
  if (!(dict instanceof Map) || items.length % 2 !== 0) {
    throw damaged(m.file, 'its pickle sets items of what is no dict');
  }
  for (let index = 0; index < items.length; index += 2) dict.set(items[index], items[index + 1]);
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
function readLong(bytes: Uint8Array): number | bigint {
  const unsigned = bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  const value = BigInt.asIntN(8 * bytes.length, unsigned);
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}
