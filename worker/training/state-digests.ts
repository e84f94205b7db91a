import { createHash, type Hash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { StateLayout } from '../model/program.js';

/** SHA-256, in hexadecimal, over the little-endian float32 values. */
export interface Digests {
  /** Of the whole flat state. */
  readonly state: string;
  /**
   * Of the network that is evaluated and exported: parameters and running statistics, or their moving
   * averages.
   */
  readonly parameters: string;
}

/** About a millisecond's work, after which whatever else the thread has to do comes first. */
const pieceBytes = 1 << 20;

/** Beside whatever TensorFlow does meanwhile in its own thread. */
export async function digestState(
  values: Float32Array,
  { evaluated: { start, end } }: Pick<StateLayout, 'evaluated'>,
): Promise<Digests> {
  return { state: await sha256(values), parameters: await sha256(values.subarray(start, end)) };
}

async function sha256(values: Float32Array): Promise<string> {
  const hash: Hash = createHash('sha256');
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    hash.update(bytes.subarray(at, at + pieceBytes));
    await setImmediate();
  }
  return hash.digest('hex');
}
