import type { Graph, Tensor } from '../tensorflow/graph.js';
import { multiply } from '../tensorflow/ops/arithmetic.js';
import { concat, gather, reshape, slice, split } from '../tensorflow/ops/arrays.js';
import { cast } from '../tensorflow/ops/convert.js';
import { placeholder } from '../tensorflow/ops/placeholder.js';
import { constantArray, zeros } from '../tensorflow/ops/sources.js';
import { rowLength } from '../tensorflow/rows.js';
import { type ReductionLayout, rowsOf } from './layout.js';
import { volume } from './parameters.js';
import type { Summands } from './training-pass.js';

type Values = Tensor<'float32'>;

/** The vectors [length of the part] of a layout's parts, in order. */
export function joinParts(
  graph: Graph,
  { gradients, statistics, tail, parts }: ReductionLayout,
  values: Summands,
): Values[] {
  const pieces = [
    ...gradients.map(({ offset }, index) => ({ offset, value: values.gradients[index]! })),
    ...statistics.map(({ offset }, index) => ({ offset, value: values.statistics[index]! })),
    { offset: tail.lossSum, value: values.tail },
  ];
  return parts.map(({ start, end }) => {
    const own = pieces.filter(({ offset }) => offset >= start && offset < end);
    return concat(
      own.flatMap(({ value }) => fillRows(graph, value)),
      0,
    );
  });
}

/** The values in a row, and the zeros that fill the last one up. */
function fillRows(graph: Graph, value: Values): Values[] {
  const flat = reshape(value, [null]);
  const count = flat.shape[0]!;
  const missing = rowLength * rowsOf(count) - count;
  return missing === 0 ? [flat] : [flat, zeros(graph, 'float32', [missing])];
}

/** What an update is made from. */
export interface Reduced {
  /** Placeholder of the vector. */
  readonly vector: Values;
  /** The gradients, each multiplied by its factor of `factors` [gradients]. */
  scaledGradients(factors: Values): readonly Values[];
  readonly statistics: readonly Values[];
  readonly microBatches: Values;
}

/**
 * What is in a vector that is fed in rows of 64 bytes, so that TensorFlow takes it apart without a copy.
 *
 * @param atOnce whether gradients are scaled before they are taken apart, in one operation: for a GPU, where
 *   it takes longer to launch a kernel for each of a hundred tensors than to run it. On a CPU it would only
 *   take memory.
 */
export function splitVector(graph: Graph, layout: ReductionLayout, atOnce = false): Reduced {
  const { gradientLength, length } = layout;
  const vector = placeholder(graph, 'vector', 'float32', [rowsOf(length), rowLength]);
  const [summed, told] = split(vector, [rowsOf(gradientLength), rowsOf(length - gradientLength)], 0);
  return {
    vector,
    scaledGradients: (factors) =>
      atOnce
        ? gradientsIn(layout, scaleRows(layout, summed!, factors))
        : gradientsIn(layout, summed!).map((gradient, index) =>
            multiply(gradient, reshape(slice(factors, [index], [1]), [])),
          ),
    ...splitStatistics(layout, told!),
  };
}

/** What is told beside the gradients, from its rows. */
export function splitStatistics(
  { statistics, tail, gradientLength, length }: ReductionLayout,
  rows: Values,
): Pick<Reduced, 'statistics' | 'microBatches'> {
  const specs = statistics.map(({ offset, shape }) => ({ shape, offset: offset - gradientLength }));
  const end = tail.lossSum - gradientLength;
  const values = cutRows(rows, [...specs, { shape: [rowLength], offset: end }], length - gradientLength);
  return {
    statistics: values.slice(0, -1),
    microBatches: reshape(slice(values.at(-1)!, [tail.microBatches - tail.lossSum], [1]), []),
  };
}

/** Each gradient, from the rows of all. */
export function gradientsIn({ gradients, gradientLength }: ReductionLayout, rows: Values): Values[] {
  return cutRows(rows, gradients, gradientLength);
}

/** Rows of all gradients [rows, rowLength], each multiplied by the factor of its gradient. */
export function scaleRows(layout: ReductionLayout, rows: Values, factors: Values): Values {
  const owners = ownersOf(rows.node.graph, layout);
  return multiply(rows, reshape(gather(factors, owners), [null, 1]));
}

/** To which gradient each row belongs: made on the device, for a constant of integers would lie on the host. */
export function ownersOf(graph: Graph, { gradients, gradientLength }: ReductionLayout): Tensor<'int32'> {
  const owners = new Float32Array(rowsOf(gradientLength));
  for (const [index, { offset }] of gradients.entries()) owners.fill(index, rowsOf(offset));
  return cast(constantArray(graph, owners, [owners.length]), 'int32');
}

function cutRows(
  rows: Values,
  specs: readonly { readonly shape: readonly number[]; readonly offset: number }[],
  length: number,
): Values[] {
  const offsets = [...specs.map(({ offset }) => offset), length];
  const sizes = specs.map((_, index) => rowsOf(offsets[index + 1]! - offsets[index]!));
  return split(rows, sizes, 0).map((piece, index) => {
    const { shape } = specs[index]!;
    const flat = reshape(piece, [null]);
    const count = volume(shape);
    return reshape(count === flat.shape[0] ? flat : slice(flat, [0], [count]), shape);
  });
}
