import type { Arch, FloatType, Trainable } from '../../plan/run-config.js';

export interface ProgramOptions {
  readonly arch: Arch;
  readonly classes: number;
  /** Side of the network's input, and of the images that are fed, in pixels. */
  readonly size: number;
  readonly presize: number;
  /**
   * What the body computes in; the head takes float32. `float64`, body and head, is for checks on a CPU: rounding to
   * float32 can put a ReLU's input on the other side of zero, which moves every gradient before it.
   */
  readonly precision: FloatType | 'float64';
  /** Chance of a zero before each of the head's linear layers, in training. */
  readonly dropout: readonly [number, number];
  /** The sets of trainable parameters that will be asked for. */
  readonly trainable: readonly Trainable[];
  readonly weightDecay: number;
  /** `normalized`: batches are the network's own input, as float32, and `presize` means nothing. */
  readonly input?: 'pixels' | 'normalized';
}
