import type { Graph, Tensor } from '../tensorflow/graph.js';
import { concat, reshape, slice, split } from '../tensorflow/ops/arrays.js';
import { placeholder } from '../tensorflow/ops/placeholder.js';
import { zeros } from '../tensorflow/ops/sources.js';
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
  readonly vector: Tensor<'float32'>;
  readonly gradients: readonly Values[];
  readonly statistics: readonly Values[];
  readonly microBatches: Values;
}

/** What is in a vector that is fed in rows of 64 bytes, so that TensorFlow takes it apart without a copy. */
export function takeApart(graph: Graph, layout: ReductionLayout): Reduced {
  const vector = placeholder(graph, 'vector', 'float32', [rowsOf(layout.length), rowLength]);
  const { gradients, statistics, tail, length } = layout;
  const specs = [...gradients, ...statistics];
  const offsets = [...specs.map(({ offset }) => offset), tail.lossSum, length];
  const sizes = offsets.slice(1).map((offset, index) => rowsOf(offset - offsets[index]!));
  const pieces = split(vector, sizes, 0);
  const values = specs.map(({ shape }, index) => {
    const flat = reshape(pieces[index]!, [null]);
    const count = volume(shape);
    return reshape(count === flat.shape[0] ? flat : slice(flat, [0], [count]), shape);
  });
  const last = reshape(pieces.at(-1)!, [rowLength]);
  return {
    vector,
    gradients: values.slice(0, gradients.length),
    statistics: values.slice(gradients.length),
    microBatches: reshape(slice(last, [tail.microBatches - tail.lossSum], [1]), []),
  };
}
