import type { FloatDType } from '../tensorflow/dtype.js';
import type { Graph, Tensor } from '../tensorflow/graph.js';
import { multiply } from '../tensorflow/ops/arithmetic.js';
import { concat, gather, reshape, slice, split } from '../tensorflow/ops/arrays.js';
import { cast } from '../tensorflow/ops/convert.js';
import { placeholder } from '../tensorflow/ops/placeholder.js';
import { constantArray } from '../tensorflow/ops/sources.js';
import { rowLength } from '../tensorflow/rows.js';
import { fillRows, type ParameterBlock, rowsOf } from './blocks.js';
import type { ReductionLayout } from './layout.js';
import type { Summands } from './training-pass.js';

type Values = Tensor<'float32'>;

/** The vectors [length of the part] of a layout's parts, in order. */
export function joinParts(
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
      groupByDType(own.map(({ value }) => value)).map((alike) =>
        cast(concat(alike.flatMap(fillRows), 0), 'float32'),
      ),
      0,
    );
  });
}

/** Neighbours of one dtype are joined before they are converted: once, not each for itself. */
function groupByDType(values: readonly Tensor<FloatDType>[]): Tensor<FloatDType>[][] {
  const groups: Tensor<FloatDType>[][] = [];
  for (const value of values) {
    const last = groups.at(-1);
    if (last?.[0]?.dtype === value.dtype) last.push(value);
    else groups.push([value]);
  }
  return groups;
}

/** What an update is made from, in rows [n, rowLength]. */
export interface Reduced {
  /** Placeholder of the vector. */
  readonly vector: Values;
  /** Placeholder of what each gradient is multiplied by [gradients]; null where the vector is fed multiplied. */
  readonly factors: Values | null;
  /** The mean gradients of each trained block. */
  readonly blocks: readonly Values[];
  readonly statistics: Values;
  /** A scalar. */
  readonly microBatches: Values;
}

/**
 * What is in a vector that is fed in rows of 64 bytes, so that TensorFlow takes it apart without a copy.
 *
 * @param scaling whether gradients are multiplied by their factors here: for a GPU. On a CPU it is cheaper before,
 *   in place.
 */
export function splitVector(
  graph: Graph,
  layout: ReductionLayout,
  blocks: readonly ParameterBlock[],
  scaling: boolean,
): Reduced {
  const { gradientLength, length } = layout;
  const vector = placeholder(graph, 'vector', 'float32', [rowsOf(length), rowLength]);
  const [summed, told] = split(vector, [rowsOf(gradientLength), rowsOf(length - gradientLength)], 0);
  return {
    vector,
    ...(scaling
      ? scaleBlocks(graph, { layout, blocks }, summed!)
      : { factors: null, blocks: splitBlocks(summed!, blocks) }),
    ...splitStatistics(layout, told!),
  };
}

/** What is told beside the gradients, from its rows. */
export function splitStatistics(
  { tail, gradientLength, length }: ReductionLayout,
  rows: Values,
): Pick<Reduced, 'statistics' | 'microBatches'> {
  const sizes = [rowsOf(tail.lossSum - gradientLength), rowsOf(length - tail.lossSum)];
  const [statistics, last] = split(rows, sizes, 0);
  const at = tail.microBatches - tail.lossSum;
  return { statistics: statistics!, microBatches: reshape(slice(last!, [0, at], [1, 1]), []) };
}

/** The rows of each block, from those of all gradients. */
function splitBlocks(rows: Values, blocks: readonly ParameterBlock[]): Values[] {
  return split(
    rows,
    blocks.map(({ length }) => rowsOf(length)),
    0,
  );
}

/** The rows of each block, from those of all gradients: those of a gradient multiplied by its factor. */
export function scaleBlocks(
  graph: Graph,
  { layout, blocks }: { layout: ReductionLayout; blocks: readonly ParameterBlock[] },
  rows: Values,
): { factors: Values; blocks: Values[] } {
  const factors = placeholder(graph, 'factors', 'float32', [layout.gradients.length]);
  const scaled = multiply(rows, reshape(gather(factors, ownersOf(graph, layout)), [null, 1]));
  return { factors, blocks: splitBlocks(scaled, blocks) };
}

/** To which gradient each row belongs: made on the device, for a constant of integers would lie on the host. */
export function ownersOf(graph: Graph, { gradients, gradientLength }: ReductionLayout): Tensor<'int32'> {
  const owners = new Float32Array(rowsOf(gradientLength));
  for (const [index, { offset }] of gradients.entries()) owners.fill(index, rowsOf(offset));
  return cast(constantArray(graph, owners, [owners.length]), 'int32');
}
