import { assembled } from './gen/kernels.js';

/** Operands are whole multiples of this many bytes long, the first of them in any case. */
export const turnBytes = 64;

/** Addresses in the module's memory: where the operands begin, and where the first one ends. */
type Kernel = (first: number, second: number, firstEnd: number) => void;
type Encoder = (own: number, floats: number, ownEnd: number, scale: number) => number;

/** kernels.wat's functions, which it describes. */
export interface Kernels {
  /** sums := sums + ints */
  readonly addInt32: Kernel;
  /** floats := floats * factor */
  readonly scale: (floats: number, end: number, factor: number) => void;
  /** floats := float32(ints); the two may be one. */
  readonly intsToFloat32: Kernel;
  /** halves := bfloat16(float32(ints)); the two may begin at one address. */
  readonly intsToBfloat16: Kernel;
  /** floats := halves, which come first */
  readonly bfloat16ToFloat32: Kernel;
  /**
   * own := floats as whole multiples of 1 / scale, rounded to nearest, ties to even; then floats := own, as ints. What
   * int32 does not hold becomes its nearest, NaN becomes 0. Answers the largest magnitude of the floats, NaN
   * where there is one.
   */
  readonly encode: Encoder;
  /** own := own + what `encode` makes of the floats; then floats := own. */
  readonly encodeAdd: Encoder;
  /** As those, but the floats become what is left in their place rounded to float32, and own stays as it is. */
  readonly encodeFinished: Encoder;
  readonly encodeAddFinished: Encoder;
}

/** The kernels over a memory, which may be shared. */
export function openKernels(memory: WebAssembly.Memory<boolean>): Kernels {
  const isShared = memory.buffer instanceof SharedArrayBuffer;
  const bytes = Buffer.from(isShared ? assembled.shared : assembled.own, 'base64');
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { worker: { memory } });
  return instance.exports as unknown as Kernels;
}
