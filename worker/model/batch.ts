import assert from 'node:assert/strict';
import type { Mixup } from '../../plan/mixup.js';
import type { Feeds } from '../tensorflow/session.js';
import type { ProgramOptions } from './program-options.js';

/** n images as they are decoded, and what augments them. */
export interface ImageBatch {
  /** [n, rows, presize, 3]: the rows of each image that its transform reaches, and as many of all */
  readonly pixels: Uint8Array;
  /** [n] */
  readonly labels: Int32Array;
  /** [n, 8]: the projective transform from output to input pixel. */
  readonly transforms: Float32Array;
  /** [n, 2]: shift and scale in logit space. */
  readonly lighting: Float32Array;
}

/** n images as the network takes them. */
export interface NormalizedBatch {
  /** [n, size, size, 3] */
  readonly pixels: Float32Array;
  /** [n] */
  readonly labels: Int32Array;
}

export type Batch = ImageBatch | NormalizedBatch;

/** A micro-batch and its random choices. */
export interface Keyed<B extends Batch> {
  readonly batch: B;
  /** Dropout's. */
  readonly key: readonly [number, number];
  /** Where the program mixes samples. */
  readonly mixup?: Mixup;
}

/** One of a step's micro-batches, and its place among them. */
export interface Placed<B extends Batch> extends Keyed<B> {
  readonly microBatch: number;
}

/** A batch's labels; the graph itself would take one for all, and pass over one that no class has. */
export function checkLabels(
  batch: Batch,
  { classes, size }: Pick<ProgramOptions, 'classes' | 'size'>,
): Int32Array {
  const { pixels, labels } = batch;
  const count = 'transforms' in batch ? batch.transforms.length / 8 : pixels.length / (3 * size ** 2);
  assert(labels.length === count, `${count} images have ${labels.length} labels`);
  const wrong = labels.find((label) => !(label >= 0 && label < classes));
  assert(wrong === undefined, `there is no class ${wrong} among ${classes}`);
  return labels;
}

/** What a program is fed of a batch, beside its labels. */
export function feedsOf(batch: Omit<Batch, 'labels'>): Feeds {
  const { pixels } = batch;
  if (!('transforms' in batch)) return { pixels };
  const { transforms, lighting } = batch as Omit<ImageBatch, 'labels'>;
  return { pixels, transforms, lighting };
}
