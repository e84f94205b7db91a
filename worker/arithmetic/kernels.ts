import { assembled } from './gen/kernels.js';

/** What a kernel handles at least, and whole multiples of: a payload's bytes. */
export const turnBytes = 64;

/** Addresses in the module's memory; both operands hold whole turns. */
type Kernel = (payload: number, floats: number, payloadEnd: number) => void;

/** kernels.wat's functions, which it describes. */
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
  const bytes = Buffer.from(isShared ? assembled.shared : assembled.own, 'base64');
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { worker: { memory } });
  return instance.exports as unknown as Kernels;
}
