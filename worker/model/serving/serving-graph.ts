import assert from 'node:assert/strict';
import { Graph, type Tensor } from '../../tensorflow/graph.js';
import { softmax } from '../../tensorflow/ops/activations.js';
import { asBatch, reshape } from '../../tensorflow/ops/arrays.js';
import { cast, identity } from '../../tensorflow/ops/convert.js';
import { decodeJpeg } from '../../tensorflow/ops/images.js';
import { mapRows } from '../../tensorflow/ops/map-rows.js';
import { argument, constantArray, constantStrings } from '../../tensorflow/ops/sources.js';
import { encodeSavedModel, type Signature } from '../../tensorflow/saved-model.js';
import { heldShape } from '../blocks.js';
import { openLayers, type Weights } from '../layers.js';
import { buildNetwork } from '../network.js';
import type { ProgramOptions } from '../program-options.js';
import { buildServedInput } from './served-input.js';

/** A tensor of a trained network in PyTorch's layout. */
export interface NetworkTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface ServingOptions
  extends Pick<ProgramOptions, 'arch' | 'precision' | 'head' | 'size' | 'presize'> {
  /** Names of the classes. */
  readonly classes: readonly string[];
  /** Every parameter and running statistic. */
  readonly tensors: readonly NetworkTensor[];
}

/**
 * The trained network alone, its weights baked in as constants, with ways in for images as a caller has them:
 * `serving_default` (uint8 pixels), `serve_float` (float32 pixels of 0 … 255) and `serve_jpeg` (JPEG files,
 * each of its own size). All give `probabilities` [n, classes] and the names of the `classes`. Answers the
 * bytes of saved_model.pb.
 */
export function encodeServingModel(options: ServingOptions): Uint8Array {
  const graph = new Graph();
  const weights = bakeWeights(graph, options.tensors);
  const names = identity(graph.scope('classes', () => constantStrings(graph, options.classes)));
  const classify = (images: Tensor<'float32'>): Tensor<'float32'> =>
    softmax(buildNetwork(openLayers(graph, weights, false), options, images));

  const pixels = argument(graph, 'pixels', 'uint8', [null, null, null, 3]);
  const floats = argument(graph, 'float_pixels', 'float32', [null, null, null, 3]);
  const jpeg = argument(graph, 'jpeg', 'string', [null]);
  const answer = (name: string, inputs: Signature['inputs'], images: () => Tensor<'float32'>) => ({
    name,
    inputs,
    outputs: { probabilities: graph.scope(name, () => classify(images())), classes: names },
  });
  return encodeSavedModel(graph, [
    answer('serving_default', { pixels }, () => buildServedInput(pixels, options)),
    answer('serve_float', { pixels: floats }, () => buildServedInput(floats, options)),
    answer('serve_jpeg', { jpeg }, () =>
      mapRows('prepare_jpeg', jpeg, (file) => {
        const image = buildServedInput(asBatch(decodeJpeg(file)), options);
        return reshape(image, [options.size, options.size, 3]);
      }),
    ),
  ]);
}

function bakeWeights(graph: Graph, tensors: readonly NetworkTensor[]): Weights {
  const baked = new Map(
    graph.scope('weights', () =>
      tensors.map(({ name, shape, values }) => {
        const held = shape.length === 4 ? toHeld(values, shape) : values;
        return [name, graph.scope(name, () => constantArray(graph, held, heldShape(shape)))] as const;
      }),
    ),
  );
  return (name, dtype) => {
    const found = baked.get(name);
    assert(found !== undefined, `there is no ${name}`);
    return cast(found, dtype);
  };
}

/** OIHW to HWIO. */
function toHeld(values: Float32Array, shape: readonly number[]): Float32Array {
  const [output, input, height, width] = shape as [number, number, number, number];
  const held = new Float32Array(values.length);
  let at = 0;
  for (let o = 0; o < output; o += 1) {
    for (let i = 0; i < input; i += 1) {
      for (let place = 0; place < height * width; place += 1) {
        held[(place * input + i) * output + o] = values[at]!;
        at += 1;
      }
    }
  }
  return held;
}
