import type { Graph, Tensor } from '../tensorflow/graph.js';
import { sigmoid } from '../tensorflow/ops/activations.js';
import {
  add,
  divide,
  log,
  maximum,
  minimum,
  multiply,
  negate,
  subtract,
} from '../tensorflow/ops/arithmetic.js';
import { divideRows, reshape, slice } from '../tensorflow/ops/arrays.js';
import { cast } from '../tensorflow/ops/convert.js';
import { projectiveTransform } from '../tensorflow/ops/images.js';
import { placeholder } from '../tensorflow/ops/placeholder.js';
import { constant } from '../tensorflow/ops/sources.js';

/** ImageNet's, by channel, of values in 0…1. */
export const mean = [0.485, 0.456, 0.406];
export const deviation = [0.229, 0.224, 0.225];

/** fastai keeps values this far from 0 and 1 before it takes their logit (vision/image.py). */
const margin = 1e-7;

/** logit(x) = ln(x / (1 − x)); brightness shifts it, then contrast scales it. */
export function applyLighting(images: Tensor<'float32'>, lighting: Tensor<'float32'>): Tensor<'float32'> {
  const graph = images.node.graph;
  const number = (value: number) => constant(graph, 'float32', value);
  const perImage = (column: number) => reshape(slice(lighting, [0, column], [null, 1]), [null, 1, 1, 1]);
  const clamped = minimum(maximum(images, number(margin)), number(1 - margin));
  const logit = negate(log(subtract(divide(number(1), clamped), number(1))));
  return sigmoid(multiply(add(logit, perImage(0)), perImage(1)));
}

/** ImageNet's normalisation of values in 0…1. */
export function normalize(images: Tensor<'float32'>): Tensor<'float32'> {
  const graph = images.node.graph;
  const centred = subtract(images, constant(graph, 'float32', mean));
  const scale = deviation.map((value) => 1 / value);
  return multiply(centred, constant(graph, 'float32', scale));
}

/**
 * The network's input [n, size, size, 3] from placeholders `pixels` (uint8 [n × rows, presize, 3]: as many
 * rows of each image, at least those that its transform reaches), `transforms` (float32 [n, 8], output to
 * input pixel) and `lighting` (float32 [n, 2]: shift, scale): one bilinear sampling, then lighting, then
 * ImageNet's normalisation.
 */
export function buildPixelInput(graph: Graph, presize: number, size: number): Tensor<'float32'> {
  const pixels = placeholder(graph, 'pixels', 'uint8', [null, presize, 3]);
  const transforms = placeholder(graph, 'transforms', 'float32', [null, 8]);
  const lighting = placeholder(graph, 'lighting', 'float32', [null, 2]);
  return graph.scope('input', () => {
    const images = divideRows(pixels, transforms);
    const sampled = projectiveTransform(cast(images, 'float32'), transforms, size);
    return normalize(applyLighting(multiply(sampled, constant(graph, 'float32', 1 / 255)), lighting));
  });
}

/** The network's input as it is fed: `pixels`, float32 [n, size, size, 3], normalised already. */
export function buildNormalizedInput(graph: Graph, size: number): Tensor<'float32'> {
  return placeholder(graph, 'pixels', 'float32', [null, size, size, 3]);
}
