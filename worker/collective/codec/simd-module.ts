import { varint } from '../../../runtime/varint.js';

/**
 * The ring's arithmetic as a WebAssembly module with SIMD, written out by instruction: JavaScript adds
 * float32 by way of float64, one at a time. (WebAssembly core specification 2.0, chapter 5; opcodes by their
 * names there.)
 */

const v128 = 0x7b;
const i32 = 0x7f;

const getLocal = (index: number) => [0x20, index];
const setLocal = (index: number) => [0x21, index];
const i32Const = (value: number) => [0x41, ...signedVarint(value)];
const i32Add = [0x6a];
const i32LessUnsigned = [0x49];
const simd = (opcode: number) => [0xfd, ...varint(opcode)];
const load = (offset: number) => [...simd(0x00), 0, ...varint(offset)];
const store = (offset: number) => [...simd(0x0b), 0, ...varint(offset)];
const splat = (value: number) => [...i32Const(value), ...simd(0x11)];
const notEqual = simd(0x42);
const and = simd(0x4e);
const or = simd(0x50);
const select = simd(0x52);
const narrowUnsigned = simd(0x86);
const extendLow = simd(0xa9);
const extendHigh = simd(0xaa);
const shiftLeft = (bits: number) => [...i32Const(bits), ...simd(0xab)];
const shiftRight = (bits: number) => [...i32Const(bits), ...simd(0xad)];
const addInts = simd(0xae);
const addFloats = simd(0xe4);

/** Parameters of every kernel: where the payload begins, where the floats begin, where the payload ends. */
const payload = 0;
const floats = 1;
const payloadEnd = 2;
const low = 3;
const high = 4;

/**
 * Rounds four floats in a local to bfloat16, in the lower halves of four ints: as segment-codec's scalar
 * version does.
 */
const roundToBfloat16 = (local: number) => [
  ...[...getLocal(local), ...shiftRight(16), ...splat(0x40), ...or],
  ...[...getLocal(local), ...splat(0x7fff), ...addInts],
  ...[...getLocal(local), ...shiftRight(16), ...splat(1), ...and, ...addInts, ...shiftRight(16)],
  ...[...getLocal(local), ...getLocal(local), ...notEqual, ...select],
];

const storePacked = (at: number) => [
  ...getLocal(payload),
  ...[...roundToBfloat16(low), ...roundToBfloat16(high), ...narrowUnsigned],
  ...store(at),
];

/** What a kernel handles in one turn: a payload's bytes, and how many vectors of 16. */
export const turnBytes = 64;
const vectorsPerTurn = turnBytes / 16;

/**
 * A loop of turns, at least one. `part` handles 16 bytes of payload at an offset, and `floatBytes` of floats
 * at another: several of them in a turn, since counting takes as long as adding.
 */
const kernel = (floatBytes: number, part: (at: number, floatsAt: number) => readonly number[]) => {
  const advance = (local: number, bytes: number) => [
    ...[...getLocal(local), ...i32Const(bytes), ...i32Add, ...setLocal(local)],
  ];
  const turn = Array.from({ length: vectorsPerTurn }, (_, i) => part(16 * i, floatBytes * i)).flat();
  return [
    ...[1, 2, v128],
    ...[0x03, 0x40, ...turn, ...advance(payload, turnBytes), ...advance(floats, vectorsPerTurn * floatBytes)],
    ...[...getLocal(payload), ...getLocal(payloadEnd), ...i32LessUnsigned, 0x0d, 0, 0x0b],
    0x0b,
  ];
};

const kernels: Readonly<Record<keyof Kernels, readonly number[]>> = {
  addFloat32: kernel(16, (at, floatsAt) => [
    ...getLocal(payload),
    ...[...getLocal(payload), ...load(at), ...getLocal(floats), ...load(floatsAt), ...addFloats],
    ...store(at),
  ]),
  addBfloat16: kernel(32, (at, floatsAt) => [
    ...[...getLocal(payload), ...load(at), ...extendLow, ...shiftLeft(16)],
    ...[...getLocal(floats), ...load(floatsAt), ...addFloats, ...setLocal(low)],
    ...[...getLocal(payload), ...load(at), ...extendHigh, ...shiftLeft(16)],
    ...[...getLocal(floats), ...load(floatsAt + 16), ...addFloats, ...setLocal(high)],
    ...storePacked(at),
  ]),
  packBfloat16: kernel(32, (at, floatsAt) => [
    ...[...getLocal(floats), ...load(floatsAt), ...setLocal(low)],
    ...[...getLocal(floats), ...load(floatsAt + 16), ...setLocal(high)],
    ...storePacked(at),
  ]),
  unpackBfloat16: kernel(32, (at, floatsAt) => [
    ...[...getLocal(floats), ...getLocal(payload), ...load(at), ...extendLow, ...shiftLeft(16)],
    ...store(floatsAt),
    ...[...getLocal(floats), ...getLocal(payload), ...load(at), ...extendHigh, ...shiftLeft(16)],
    ...store(floatsAt + 16),
  ]),
};

/** Addresses in the module's memory; both operands hold whole turns. */
type Kernel = (payload: number, floats: number, payloadEnd: number) => void;

export interface Kernels {
  /** payload := payload + floats */
  readonly addFloat32: Kernel;
  /** payload := bfloat16(float32(payload) + floats) */
  readonly addBfloat16: Kernel;
  /** payload := bfloat16(floats) */
  readonly packBfloat16: Kernel;
  /** floats := payload */
  readonly unpackBfloat16: Kernel;
}

/** The kernels over a memory, which may be shared. */
export function openKernels(memory: WebAssembly.Memory<boolean>): Kernels {
  const isShared = memory.buffer instanceof SharedArrayBuffer;
  const module = new WebAssembly.Module(encodeModule(isShared));
  const { exports } = new WebAssembly.Instance(module, { ring: { memory } });
  return exports as unknown as Kernels;
}

function encodeModule(isShared: boolean): Uint8Array<ArrayBuffer> {
  const entries = Object.entries(kernels);
  // Of any size: from none to all 65536 pages.
  const memoryLimits = [isShared ? 3 : 1, 0, ...varint(65_536)];
  const sections = [
    section(1, [[0x60, 3, i32, i32, i32, 0]]),
    section(2, [[...name('ring'), ...name('memory'), 2, ...memoryLimits]]),
    section(
      3,
      entries.map(() => [0]),
    ),
    section(
      7,
      entries.map(([each], index) => [...name(each), 0, index]),
    ),
    section(
      10,
      entries.map(([, body]) => [...varint(body.length), ...body]),
    ),
  ];
  return Uint8Array.from([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections.flat()]);
}

function section(id: number, items: readonly (readonly number[])[]): number[] {
  const content = [...varint(items.length), ...items.flat()];
  return [id, ...varint(content.length), ...content];
}

function name(text: string): number[] {
  return [text.length, ...Buffer.from(text, 'ascii')];
}

function signedVarint(value: number): number[] {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signedVarint(value >>> 7)];
}
