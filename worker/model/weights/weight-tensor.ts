/** Element types that weight files hold, as safetensors spells them. */
export type ElementType =
  | 'F64'
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'I64'
  | 'I32'
  | 'I16'
  | 'I8'
  | 'U64'
  | 'U32'
  | 'U16'
  | 'U8'
  | 'BOOL';

/** F16 and BF16 are widened, which is exact. */
export type WeightValues =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint32Array
  | Uint16Array
  | Uint8Array;

export interface WeightTensor {
  /** PyTorch's layout; empty for a scalar. */
  readonly shape: readonly number[];
  readonly dtype: ElementType;
  /** In row-major order. May be a view of the file's bytes. */
  readonly values: WeightValues;
}

/** Tensors that lie together in a file. */
export interface TensorDict {
  /** The keys that lead to it from the file's root, such as "state_dict"; empty for the root itself. */
  readonly path: string;
  readonly tensors: ReadonlyMap<string, WeightTensor>;
}

const decoders: Readonly<Record<ElementType, (bytes: Uint8Array) => WeightValues>> = {
  F64: (bytes) => elements(Float64Array, bytes),
  F32: (bytes) => elements(Float32Array, bytes),
  F16: (bytes) => widenHalves(elements(Uint16Array, bytes)),
  BF16: (bytes) => widenBfloat16(elements(Uint16Array, bytes)),
  I64: (bytes) => elements(BigInt64Array, bytes),
  I32: (bytes) => elements(Int32Array, bytes),
  I16: (bytes) => elements(Int16Array, bytes),
  I8: (bytes) => elements(Int8Array, bytes),
  U64: (bytes) => elements(BigUint64Array, bytes),
  U32: (bytes) => elements(Uint32Array, bytes),
  U16: (bytes) => elements(Uint16Array, bytes),
  U8: (bytes) => bytes,
  BOOL: (bytes) => bytes,
};

/** The numbers that little-endian `bytes` hold, whose length is a multiple of the element's. */
export function decodeValues(bytes: Uint8Array, dtype: ElementType): WeightValues {
  return decoders[dtype](bytes);
}

export function isElementType(dtype: string): dtype is ElementType {
  return Object.hasOwn(decoders, dtype);
}

interface ElementArray<T> {
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
  readonly BYTES_PER_ELEMENT: number;
}

function elements<T>(Elements: ElementArray<T>, bytes: Uint8Array): T {
  const size = Elements.BYTES_PER_ELEMENT;
  // A typed array must begin at a multiple of its element's size; files need not oblige.
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new Elements(aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
}

/**
 * The numbers of all 65536 values of IEEE 754 binary16: a table is many times faster than a call for each.
 */
let halves: Float32Array | undefined;

function widenHalves(bits: Uint16Array): Float32Array {
  halves ??= Float32Array.from({ length: 0x10000 }, (_, value) => widenHalf(value));
  const values = new Float32Array(bits.length);
  for (let index = 0; index < bits.length; index += 1) values[index] = halves[bits[index]!]!;
  return values;
}

/** IEEE 754 binary16 to a number. */
function widenHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** bfloat16 is the upper half of a float32. */
function widenBfloat16(bits: Uint16Array): Float32Array {
  const values = new Uint32Array(bits.length);
  for (let index = 0; index < bits.length; index += 1) values[index] = bits[index]! << 16;
  return new Float32Array(values.buffer);
}
