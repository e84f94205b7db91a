import type { Graph, Tensor } from '../tensorflow/graph.js';
import { finite, multiply } from '../tensorflow/ops/arithmetic.js';
import { concat, reshape, slice, split } from '../tensorflow/ops/arrays.js';
import { placeholder } from '../tensorflow/ops/placeholder.js';
import { all } from '../tensorflow/ops/reductions.js';
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
  /** Placeholder of the reduction vector. */
  readonly vector: Tensor<'float32'>;
  /** The gradients, each multiplied by a factor. */
  scaledGradients(factor: Values): readonly Values[];
  readonly statistics: readonly Values[];
  /** By the keys of the layout's tail. */
  readonly tail: Readonly<Record<keyof ReductionLayout['tail'], Values>>;
  /** Whether there is neither NaN nor infinity in any of it. */
  readonly finite: Tensor<'bool'>;
}

/** @param atOnce as `cutUp` has it */
export function takeApart(graph: Graph, layout: ReductionLayout, atOnce = false): Reduced {
  const vector = placeholder(graph, 'vector', 'float32', [rowsOf(layout.length), rowLength]);
  return { vector, ...cutUp(layout, vector, atOnce), finite: all(finite(vector)) };
}

/**
 * What is in a vector that comes in rows of 64 bytes, so that TensorFlow takes it apart without a copy.
 *
 * @param atOnce whether gradients are scaled before they are taken apart, in one operation: for a GPU, where
 *   it takes longer to launch a kernel for each of a hundred tensors than to run it. On a CPU it would only
 *   take memory.
 */
export function cutUp(
  layout: ReductionLayout,
  vector: Values,
  atOnce: boolean,
): Pick<Reduced, 'scaledGradients' | 'statistics' | 'tail'> {
  const { gradients, statistics, tail, length } = layout;
  const specs = [...gradients, ...statistics];
  const offsets = [...specs.map(({ offset }) => offset), tail.lossSum, length];
  const sizes = offsets.slice(1).map((offset, index) => rowsOf(offset - offsets[index]!));
  const valuesOf = (whole: Values) => {
    const pieces = split(whole, sizes, 0);
    const values = specs.map(({ shape }, index) => {
      const flat = reshape(pieces[index]!, [null]);
      const count = volume(shape);
      return reshape(count === flat.shape[0] ? flat : slice(flat, [0], [count]), shape);
    });
    return { values, last: reshape(pieces.at(-1)!, [rowLength]) };
  };
  const { values, last } = valuesOf(vector);
  const scalar = (offset: number) => reshape(slice(last, [offset - tail.lossSum], [1]), []);
  return {
    scaledGradients: (factor) =>
      atOnce
        ? valuesOf(multiply(vector, factor)).values.slice(0, gradients.length)
        : values.slice(0, gradients.length).map((gradient) => multiply(gradient, factor)),
    statistics: values.slice(gradients.length),
    tail: Object.fromEntries(
      Object.entries(tail).map(([key, offset]) => [key, scalar(offset)]),
    ) as Reduced['tail'],
  };
}
