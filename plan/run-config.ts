export const archs = ['resnet18', 'resnet34', 'resnet50', 'resnet101', 'resnet152'] as const;
export type Arch = (typeof archs)[number];

export type FloatType = 'float32' | 'bfloat16';

/**
 * `frozen`: the head and every batch norm's affine parameters (fastai's `train_bn`); `all`: every parameter.
 */
export type Trainable = 'all' | 'frozen';

export const headKinds = ['fastai', 'linear'] as const;
/**
 * `fastai`: concatenated pooling and two linear layers; `linear`: average pooling and one, torchvision's
 * `fc`.
 */
export type HeadKind = (typeof headKinds)[number];

/**
 * What the workers are gathered for: the phases' epochs, one pass over the validation set, or a range test of
 * rates.
 */
export type Task =
  | { readonly kind: 'train' }
  /** `tta`: with test-time augmentation (plan/test-time.ts); without, unless given. */
  | { readonly kind: 'evaluate'; readonly tta?: boolean }
  | { readonly kind: 'lr-find'; readonly from: number; readonly to: number; readonly steps: number };

/** What is done to training images: see plan/augmentation.ts. */
export const augmentKinds = ['none', 'flip', 'fastai'] as const;
export type AugmentKind = (typeof augmentKinds)[number];

/** Early to late: [stem, layer1, layer2], [layer3, layer4], [head]. */
export const layerGroupCount = 3;

/**
 * Epochs with one one-cycle schedule and one set of trainable parameters. Moments start afresh with each
 * phase.
 */
export interface PhaseConfig {
  readonly name: string;
  readonly epochs: number;
  readonly trainable: Trainable;
  /** Peak learning rate of each layer group, early to late. */
  readonly learningRates: readonly number[];
}

/**
 * Everything that decides what happens at step k, resolved once by the coordinator and frozen. Both programs
 * evaluate the plan from it; it travels as JSON in Welcome and lies in run.json.
 */
export interface RunConfig {
  readonly runId: string;
  readonly task: Task;
  readonly seed: number;
  readonly arch: Arch;
  /** Class names, sorted; a label is an index into them. */
  readonly classes: readonly string[];
  /** Samples are ids 0 … count−1 in the dataset's train and valid lists. */
  readonly trainCount: number;
  readonly validCount: number;
  readonly datasetDigest: string;
  /** Side of the network's input, in pixels. */
  readonly size: number;
  /** Short side that images are decoded to (plan/stored-image.ts), in pixels. */
  readonly presize: number;
  /** Samples of a step over all ranks. */
  readonly batchSize: number;
  /** Samples of one forward and backward pass. */
  readonly microBatch: number;
  readonly phases: readonly PhaseConfig[];
  readonly weightDecay: number;
  /** Dropout before each of the head's two linear layers. */
  readonly dropout: readonly [number, number];
  readonly augment: AugmentKind;
  readonly head: HeadKind;
  /** Share of a label's weight that is spread over all classes; 0 for none. */
  readonly labelSmoothing: number;
  /** Largest global norm of a step's mean gradient; null for no clipping. */
  readonly clipNorm: number | null;
  /** Decay, per step, of the moving average of the weights that evaluation then uses; null for none. */
  readonly emaDecay: number | null;
  /** α of mixup's Beta(α, α); 0 for none. */
  readonly mixup: number;
  /** A factor of each class's loss; null for all 1. */
  readonly classWeights: readonly number[] | null;
  /** What the network computes in; weights and statistics are always float32. */
  readonly precision: FloatType;
  /** What gradients travel as. */
  readonly wire: FloatType;
  /**
   * Threads of every worker among which the ring's work is divided. With more than one there is always a
   * ring.
   */
  readonly lanes: number;
  /** SHA-256 of the file given as --pretrained, or null for training from scratch. */
  readonly pretrainedDigest: string | null;
}
