import { fileURLToPath } from 'node:url';
import type { FloatType } from '../../plan/run-config.js';
import type { Precision } from '../compute/implementation.js';
import type { CaseFigures } from './figures.js';

/** What a process of this bench is opened with, as JSON in its first argument. */
export interface Place {
  readonly arch: 'resnet18' | 'resnet34';
  readonly classes: number;
  /** Side of the network's input, in pixels. */
  readonly size: number;
  readonly threads: number;
  readonly device: 'cpu' | 'gpu';
  /** `float64` is for the stored results, on a CPU. */
  readonly precision: Precision | 'float64';
}

/** What the program computes in. */
export function programPrecision({ precision }: Place): FloatType | 'float64' {
  return precision === 'tf32' ? 'float32' : precision;
}

/** What such a process can be asked. */
export interface Answers {
  probe: { readonly version: string; readonly usesGpu: boolean };
  /** The case of case.ts. */
  case: CaseFigures;
  /** SHA-256 of the state after three steps of it. */
  digest: { readonly sha256: string };
  handOver: HandOverTimes;
}

export type Question =
  | { readonly kind: 'probe' }
  | { readonly kind: 'case' }
  | { readonly kind: 'digest' }
  | { readonly kind: 'handOver'; readonly batch: number; readonly rounds: number };

/** Milliseconds of each round; vectors are those of all parameters. */
export interface HandOverTimes {
  readonly stateBytes: number;
  readonly vectorBytes: number;
  /** The whole state, out of the session and into it. */
  readonly save: readonly number[];
  readonly load: readonly number[];
  /** Gradients with their way to the host; the check and the update with the sum's way back. */
  readonly gradients: readonly number[];
  readonly update: readonly number[];
}

export const script = fileURLToPath(new URL('device-process.js', import.meta.url));
