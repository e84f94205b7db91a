import assert from 'node:assert/strict';
import type { FloatDType } from '../tensorflow/dtype.js';
import type { Tensor } from '../tensorflow/graph.js';
import { relu } from '../tensorflow/ops/activations.js';
import { greaterEqual, multiply } from '../tensorflow/ops/arithmetic.js';
import { concat, reshape } from '../tensorflow/ops/arrays.js';
import { cast } from '../tensorflow/ops/convert.js';
import { maxPool } from '../tensorflow/ops/pooling.js';
import { statelessUniform } from '../tensorflow/ops/random.js';
import { mean } from '../tensorflow/ops/reductions.js';
import { constant } from '../tensorflow/ops/sources.js';
import type { Layers } from './layers.js';

export interface Dropout {
  /** Chance of a zero before the first and the second linear layer. */
  readonly rates: readonly [number, number];
  /** uint64 [1]: what is dropped depends on nothing else. */
  readonly key: Tensor<'uint64'>;
}

/**
 * fastai's head (vision/learner.py, create_head): features [n, h, w, c] to logits [n, classes], in one dtype.
 * The names count the layers as its nn.Sequential does.
 */
export function buildHead<D extends FloatDType>(
  layers: Layers,
  features: Tensor<D>,
  dropout?: Dropout,
): Tensor<D> {
  const drop = (index: 0 | 1, x: Tensor<D>) =>
    dropout === undefined ? x : dropOut(x, dropout.rates[index], dropout.key, index);
  const pooled = layers.graph.scope('head.0', () => poolBoth(features));
  const narrowed = layers.linear('head.4', drop(0, normRows(layers, 'head.2', pooled)));
  return layers.linear('head.8', drop(1, normRows(layers, 'head.6', relu(narrowed))));
}

/** torchvision's classifier (models/resnet.py): average pooling, then one linear layer, `fc`. */
export function buildLinearHead<D extends FloatDType>(layers: Layers, features: Tensor<D>): Tensor<D> {
  return layers.linear('fc', mean(features, [1, 2]));
}

/** The largest value of each channel, then the mean of each. */
function poolBoth<D extends FloatDType>(features: Tensor<D>): Tensor<D> {
  const [, height, width, channels] = features.shape;
  assert(height && width && channels, 'the size of the features must be known');
  const largest = maxPool(features, { window: [height, width], stride: 1, padding: 'VALID' });
  const joined = concat([largest, mean(features, [1, 2], true)], 3);
  return reshape(joined, [null, 2 * channels]);
}

/** Batch norm of rows [n, channels]. */
function normRows<D extends FloatDType>(layers: Layers, name: string, x: Tensor<D>): Tensor<D> {
  const channels = x.shape[1]!;
  return reshape(layers.norm(name, reshape(x, [null, 1, 1, channels])), [null, channels]);
}

function dropOut<D extends FloatDType>(
  x: Tensor<D>,
  rate: number,
  key: Tensor<'uint64'>,
  stream: number,
): Tensor<D> {
  if (rate === 0) return x;
  const graph = x.node.graph;
  const kept = greaterEqual(statelessUniform(graph, x, key, stream), constant(graph, 'float32', rate));
  const scale = constant(graph, 'float32', 1 / (1 - rate));
  return multiply(x, cast(multiply(cast(kept, 'float32'), scale), x.dtype));
}
