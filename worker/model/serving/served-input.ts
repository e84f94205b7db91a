import type { Tensor } from '../../tensorflow/graph.js';
import { add, divide, floor, maximum, multiply, subtract } from '../../tensorflow/ops/arithmetic.js';
import { concat, reshape, slice } from '../../tensorflow/ops/arrays.js';
import { cast } from '../../tensorflow/ops/convert.js';
import { projectiveTransform, resizeTriangle } from '../../tensorflow/ops/images.js';
import { constant, shapeOf } from '../../tensorflow/ops/sources.js';
import { normalize } from '../input.js';

/**
 * The network's input [n, size, size, 3] from upright images [n, h, w, 3] of any size, values 0 … 255, by the same way
 * as validation images: squeezed to presize × presize in 8 bits, then the middle of the image in its own shape
 * (worker/data/decode.ts, plan/augmentation.ts). Only the squeezing is another program's: libvips there, TensorFlow here.
 */
export function buildServedInput(
  images: Tensor<'float32'> | Tensor<'uint8'>,
  { presize, size }: { presize: number; size: number },
): Tensor<'float32'> {
  const graph = images.node.graph;
  return graph.scope('served-input', () => {
    // In float64, as plan/augmentation.ts computes, so that halves round to the same side.
    const number = (value: number) => constant(graph, 'float64', [value]);
    const sides = cast(shapeOf(images), 'float64');
    const [h, w] = [slice(sides, [1], [1]), slice(sides, [2], [1])];
    const scale = concat([divide(number(presize), h), divide(number(presize), w)], 0);
    const squeezed = toWhole(resizeTriangle(images, presize, cast(scale, 'float32')));
    const transform = centreCrop(h, w);
    const sampled = projectiveTransform(squeezed, reshape(cast(transform, 'float32'), [1, 8]), size);
    return normalize(multiply(sampled, constant(graph, 'float32', 1 / 255)));

    /** plan/augmentation.ts's projectiveTransform without augmentation. */
    function centreCrop(height: Tensor<'float64'>, width: Tensor<'float64'>): Tensor<'float64'> {
      const along = (own: Tensor<'float64'>, other: Tensor<'float64'>) => {
        const whole = floor(add(multiply(number(size), divide(own, other)), number(0.5)));
        const side = maximum(whole, number(size));
        const step = divide(number(presize - 1), subtract(side, number(1)));
        const start = floor(multiply(subtract(side, number(size - 1)), number(0.5)));
        return { step, shift: multiply(step, start) };
      };
      const [x, y, none] = [along(width, height), along(height, width), number(0)];
      return concat([x.step, none, x.shift, none, y.step, y.shift, none, none], 0);
    }
  });
}

/** The nearest whole numbers, as 8-bit pixels have them. */
function toWhole(values: Tensor<'float32'>): Tensor<'float32'> {
  return floor(add(values, constant(values.node.graph, 'float32', 0.5)));
}
