import type { Arch, FloatType, HeadKind, RunConfig, Trainable } from '../../plan/run-config.js';

export interface ProgramOptions {
  readonly arch: Arch;
  readonly classes: number;
  /** Side of the network's input, and of the images that are fed, in pixels. */
  readonly size: number;
  readonly presize: number;
  /**
   * What the body computes in; the head takes float32. `float64`, body and head, is for checks on a CPU:
   * rounding to float32 can put a ReLU's input on the other side of zero, which moves every gradient before
   * it.
   */
  readonly precision: FloatType | 'float64';
  /** Chance of a zero before each of the head's linear layers, in training. */
  readonly dropout: readonly [number, number];
  /** The sets of trainable parameters that will be asked for. */
  readonly trainable: readonly Trainable[];
  readonly weightDecay: number;
  /** fastai's unless given. */
  readonly head?: HeadKind;
  /** Share of a label's weight that the loss spreads over all classes; none unless given. */
  readonly labelSmoothing?: number;
  /** A factor, above 0, of each class's loss; all 1 unless given. */
  readonly classWeights?: readonly number[] | null;
  /** Whether training mixes samples: each micro-batch then comes with what plan/mixup.ts draws. */
  readonly mixup?: boolean;
  /** Largest global norm of the mean gradient; no bound unless given. */
  readonly clipNorm?: number | null;
  /** Whether the state holds a moving average of the parameters, which evaluation then uses. */
  readonly averaged?: boolean;
  /**
   * Whether it will run on a GPU, where few large kernels are faster than many small ones, and a sum is left
   * where it is; the bits are the same. Asked of TensorFlow unless given.
   */
  readonly onGpu?: boolean;
  /** `normalized`: batches are the network's own input, as float32, and `presize` means nothing. */
  readonly input?: 'pixels' | 'normalized';
}

/** The program of a run, with the sets of gradients that are wanted. */
export function programOptions(
  config: RunConfig,
  trainable: readonly Trainable[],
): Omit<ProgramOptions, 'input'> {
  const { arch, size, presize, precision, dropout, weightDecay } = config;
  const { head, labelSmoothing, classWeights, clipNorm } = config;
  return {
    ...{ arch, size, presize, precision, dropout, weightDecay, trainable },
    ...{ head, labelSmoothing, classWeights, clipNorm },
    classes: config.classes.length,
    mixup: config.mixup > 0,
    averaged: config.emaDecay !== null,
  };
}
