import type { FloatDType } from '../tensorflow/dtype.js';
import type { Tensor } from '../tensorflow/graph.js';
import { cast } from '../tensorflow/ops/convert.js';
import { describeBody } from './architecture.js';
import { buildHead, buildLinearHead, type Dropout } from './head.js';
import type { Layers } from './layers.js';
import type { ProgramOptions } from './program-options.js';
import { buildBody } from './resnet.js';

/**
 * Normalised images [n, size, size, 3] to float32 logits [n, classes]; the body computes in the chosen
 * precision.
 */
export function buildNetwork(
  layers: Layers,
  { arch, precision, head }: Pick<ProgramOptions, 'arch' | 'precision' | 'head'>,
  images: Tensor<'float32'>,
  dropout?: Dropout,
): Tensor<'float32'> {
  const features = buildBody<FloatDType>(layers, describeBody(arch), cast(images, precision));
  const taken = precision === 'float64' ? features : cast(features, 'float32');
  const logits =
    head === 'linear'
      ? buildLinearHead<FloatDType>(layers, taken)
      : buildHead<FloatDType>(layers, taken, dropout);
  return cast(logits, 'float32');
}
