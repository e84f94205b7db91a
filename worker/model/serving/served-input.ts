import { maxStoredAspect } from '../../../plan/stored-image.js';
import type { Tensor } from '../../tensorflow/graph.js';
import {
  add,
  divide,
  floor,
  maximum,
  minimum,
  multiply,
  negate,
  subtract,
} from '../../tensorflow/ops/arithmetic.js';
import { concat, reshape, slice } from '../../tensorflow/ops/arrays.js';
import { cast } from '../../tensorflow/ops/convert.js';
import { projectiveTransform, resizeTriangle } from '../../tensorflow/ops/images.js';
import { constant, shapeOf } from '../../tensorflow/ops/sources.js';
import { normalize } from '../input.js';

/**
 * Pixels beside those that the crop reaches: rounding may ask for one more on either side, and bilinear
 * sampling for its neighbour.
 */
const margin = 2;

/**
 * The network's input [n, size, size, 3] from upright images [n, h, w, 3] of any size, values 0 … 255, by the
 * same way as validation images: scaled until the short side is presize, in 8 bits, then the middle of them
 * (worker/data/decode.ts, plan/augmentation.ts). Only the scaling is another program's: libvips there,
 * TensorFlow here.
 */
export function buildServedInput(
  images: Tensor<'float32'> | Tensor<'uint8'>,
  { presize, size }: { presize: number; size: number },
): Tensor<'float32'> {
  const graph = images.node.graph;
  return graph.scope('served-input', () => {
    // In float64, as plan/augmentation.ts computes, so that halves round to the same side.
    const number = (value: number) => constant(graph, 'float64', [value]);
    const round = (value: Tensor<'float64'>) => floor(add(value, number(0.5)));
    const sides = cast(shapeOf(images), 'float64');
    const [h, w] = [slice(sides, [1], [1]), slice(sides, [2], [1])];
    const [rows, columns] = [along(h, w), along(w, h)];
    const scale = concat([rows.scale, columns.scale], 0);
    const translation = concat([negate(rows.first), negate(columns.first)], 0);
    const resized = resizeTriangle(
      images,
      presize + 2 * margin,
      cast(scale, 'float32'),
      cast(translation, 'float32'),
    );
    const none = number(0);
    const { step, shift } = columns;
    const transform = concat([step, none, shift, none, rows.step, rows.shift, none, none], 0);
    const sampled = projectiveTransform(toWhole(resized), reshape(cast(transform, 'float32'), [1, 8]), size);
    return normalize(multiply(sampled, constant(graph, 'float32', 1 / 255)));

    /** plan/stored-image.ts and plan/augmentation.ts without augmentation, along one side. */
    function along(own: Tensor<'float64'>, other: Tensor<'float64'>) {
      const elongation = divide(own, other);
      const bounded = minimum(maximum(elongation, number(1)), number(maxStoredAspect));
      const stored = round(multiply(number(presize), bounded));
      const scaled = maximum(round(multiply(number(size), elongation)), number(size));
      const step = divide(subtract(stored, number(1)), subtract(scaled, number(1)));
      const start = multiply(step, floor(multiply(subtract(scaled, number(size - 1)), number(0.5))));
      // Of the pixels that are made.
      const first = subtract(floor(start), number(1));
      return { scale: divide(stored, own), first, step, shift: subtract(start, first) };
    }
  });
}

/** The nearest whole numbers, as 8-bit pixels have them. */
function toWhole(values: Tensor<'float32'>): Tensor<'float32'> {
  return floor(add(values, constant(values.node.graph, 'float32', 0.5)));
}
