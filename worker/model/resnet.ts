import type { FloatDType } from '../tensorflow/dtype.js';
import type { Tensor } from '../tensorflow/graph.js';
import { relu } from '../tensorflow/ops/activations.js';
import { add } from '../tensorflow/ops/arithmetic.js';
import { pad } from '../tensorflow/ops/arrays.js';
import { maxPool } from '../tensorflow/ops/pooling.js';
import type { BlockSpec, BodySpec } from './architecture.js';
import type { Layers } from './layers.js';

/**
 * Images [n, size, size, 3] to features [n, size / 32, size / 32, features], computed in the images' dtype.
 */
export function buildBody<D extends FloatDType>(
  layers: Layers,
  body: BodySpec,
  images: Tensor<D>,
): Tensor<D> {
  let x = relu(layers.convNorm(body.stem, images));
  // Zeros do for padding: after a ReLU nothing is smaller.
  x = maxPool(
    pad(x, [
      [0, 0],
      [1, 1],
      [1, 1],
      [0, 0],
    ]),
    { window: [3, 3], stride: 2, padding: 'VALID' },
  );
  for (const { blocks } of body.blockGroups) {
    for (const block of blocks) x = buildBlock(layers, block, x);
  }
  return x;
}

function buildBlock<D extends FloatDType>(layers: Layers, block: BlockSpec, input: Tensor<D>): Tensor<D> {
  const { convs, projection } = block;
  let x = input;
  convs.forEach((conv, index) => {
    const convolved = layers.convNorm(conv, x);
    x = index === convs.length - 1 ? convolved : relu(convolved);
  });
  const shortcut = projection === null ? input : layers.convNorm(projection, input);
  return relu(add(x, shortcut));
}
