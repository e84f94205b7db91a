import { z } from 'zod';
import { layerGroupCount } from './learning-rates.js';

export const archs = ['resnet18', 'resnet34', 'resnet50', 'resnet101', 'resnet152'] as const;
export type Arch = (typeof archs)[number];

export const floatTypes = ['float32', 'bfloat16'] as const;
export type FloatType = (typeof floatTypes)[number];

export const ringTransports = ['sockets', 'grpc'] as const;
export type RingTransport = (typeof ringTransports)[number];

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

/** What is done to training images: see plan/augmentation.ts. */
export const augmentKinds = ['none', 'flip', 'fastai'] as const;
export type AugmentKind = (typeof augmentKinds)[number];

const count = z.int().nonnegative();
const share = z.number().min(0).max(1);

const task = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('train') }).readonly(),
  z
    .object({
      kind: z.literal('evaluate'),
      /** With test-time augmentation (plan/test-time.ts); without, unless given. */
      tta: z.boolean().optional(),
    })
    .readonly(),
  z
    .object({ kind: z.literal('lr-find'), from: z.number(), to: z.number(), steps: z.int().positive() })
    .readonly(),
]);

/**
 * What the workers are gathered for: the phases' epochs, one pass over the validation set, or a range test of
 * rates.
 */
export type Task = z.infer<typeof task>;

const phase = z
  .object({
    name: z.string(),
    epochs: count,
    trainable: z.enum(['all', 'frozen']),
    /** Peak learning rate of each layer group, early to late. */
    learningRates: z.array(z.number()).length(layerGroupCount).readonly(),
  })
  .readonly();

/**
 * Epochs with one one-cycle schedule and one set of trainable parameters. Moments start afresh with each
 * phase.
 */
export type PhaseConfig = z.infer<typeof phase>;

const order = z.discriminatedUnion('kind', [
  /** All samples at once. */
  z.object({ kind: z.literal('full'), version: z.literal(1) }).readonly(),
  /**
   * Shards, then the samples of so many shards at a time. `counts`: training samples of each shard. Since version 2
   * each micro-batch of a step has shards of its own (plan/partitions.ts).
   */
  z
    .object({
      ...{ kind: z.literal('windows'), version: z.literal([1, 2]), shards: z.int().positive() },
      counts: z.array(count).readonly(),
    })
    .readonly(),
]);

/** Of `RunConfig`. What it parses is frozen, and has its fields in this order, whoever wrote it. */
export const runConfigSchema = z
  .object({
    runId: z.string(),
    task,
    seed: z.int(),
    arch: z.enum(archs),
    /** Class names, sorted; a label is an index into them. */
    classes: z.array(z.string()).readonly(),
    /** Samples are ids 0 … count−1 in the dataset's train and valid lists. */
    trainCount: count,
    validCount: count,
    datasetDigest: z.string(),
    /** How epochs order the samples (plan/epoch-order.ts); absent: by a permutation that is held in memory. */
    order: order.optional(),
    /** Side of the network's input, in pixels. */
    size: z.int().positive(),
    /** Short side that images are decoded to (plan/stored-image.ts), in pixels. */
    presize: z.int().positive(),
    /** Samples of a step over all ranks. */
    batchSize: z.int().positive(),
    /** Samples of one forward and backward pass. */
    microBatch: z.int().positive(),
    phases: z.array(phase).readonly(),
    weightDecay: z.number(),
    /** Dropout before each of the head's two linear layers. */
    dropout: z.tuple([share, share]).readonly(),
    augment: z.enum(augmentKinds),
    head: z.enum(headKinds),
    /** Share of a label's weight that is spread over all classes; 0 for none. */
    labelSmoothing: share,
    /** Largest global norm of a step's mean gradient; null for no clipping. */
    clipNorm: z.number().nullable(),
    /** Decay, per step, of the moving average of the weights that evaluation then uses; null for none. */
    emaDecay: share.nullable(),
    /** α of mixup's Beta(α, α); 0 for none. */
    mixup: z.number().nonnegative(),
    /** A factor of each class's loss; null for all 1. */
    classWeights: z.array(z.number()).readonly().nullable(),
    /** What the network computes in; weights and statistics are always float32. */
    precision: z.enum(floatTypes),
    /** What gradients travel as. */
    wire: z.enum(floatTypes),
    /** How gradients come from a neighbour that shares no memory. */
    ring: z.enum(ringTransports).default('sockets'),
    /** Of every worker: what TensorFlow divides an operation among, which decides the last bits of results. */
    threads: z.int().positive(),
    /** What becomes of a run whose workers compute with unlike kernels. */
    mixed: z.enum(['allow', 'refuse']),
    /**
     * Threads of every worker among which the ring's work is divided. With more than one there is always a
     * ring.
     */
    lanes: z.int().positive(),
    /** SHA-256 of the file given as --pretrained, or null for training from scratch. */
    pretrainedDigest: z.string().nullable(),
  })
  .readonly();

/**
 * Everything that decides what happens at step k, resolved once by the coordinator and frozen. Both programs
 * evaluate the plan from it; it travels as JSON in Welcome and in the requests of jobs, and lies in run.json.
 */
export type RunConfig = z.infer<typeof runConfigSchema>;
