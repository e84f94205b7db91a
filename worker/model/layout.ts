import type { Trainable } from '../../plan/run-config.js';
import { rowLength } from '../tensorflow/rows.js';
import {
  describeStatistics,
  layOutParameters,
  type ParameterBlock,
  place,
  type TensorSpec,
} from './blocks.js';
import { isTrained, type NetworkSpec } from './parameters.js';

/**
 * A replica's whole state as one float32 vector: parameters | statistics | first moments | second moments |
 * updates | amax | average.
 */
export interface StateLayout {
  readonly parameters: readonly (TensorSpec & { readonly group: number })[];
  /** Running mean, then running variance, of each batch norm. */
  readonly statistics: readonly TensorSpec[];
  readonly first: readonly TensorSpec[];
  readonly second: readonly TensorSpec[];
  /** How many updates the moments have seen, which Adam's bias correction goes by: one value. */
  readonly updates: TensorSpec;
  /**
   * The largest magnitude of each parameter's gradient in any micro-batch of its last update, which decides the
   * grid of the next sum (exact-sum.ts); 0 where there was none since the moments were zero.
   */
  readonly amax: TensorSpec;
  /** Moving average of each parameter and statistic, `average.NAME`; none unless the run keeps one. */
  readonly average: readonly TensorSpec[];
  readonly length: number;
  /** Parameters come first: this many values. */
  readonly parameterLength: number;
  /**
   * What evaluation computes with and export writes: parameters and statistics, or their averages where there
   * are any.
   */
  readonly evaluated: { readonly start: number; readonly end: number };
}

/** Everything of the flat state, in its order. */
export function stateTensors(layout: StateLayout): readonly TensorSpec[] {
  const { parameters, statistics, first, second, updates, amax, average } = layout;
  return [...parameters, ...statistics, ...first, ...second, updates, amax, ...average];
}

/** The state as variables hold it, one behind the other in rows: where what the program itself follows is in it. */
export interface HeldLayout {
  /** Values, in whole rows. */
  readonly length: number;
  /** Of the first value. */
  readonly updates: number;
  readonly amax: number;
}

/**
 * Where everything is in a step's vector: sums over samples or over micro-batches. Each tensor, the tail and the
 * end are at multiples of `rowLength`, with zeros between.
 */
export interface ReductionLayout {
  readonly length: number;
  /**
   * Without gap and in the order in which the backward pass makes them known: offsets of the first value and
   * past the last.
   */
  readonly parts: readonly { readonly start: number; readonly end: number }[];
  /** Gradients come first: this many values, which travel around the ring. The rest is told beside it. */
  readonly gradientLength: number;
  /** Sums over samples: the tensors of the blocks that are trained, in their order and in the held shapes. */
  readonly gradients: readonly TensorSpec[];
  /** Means and unbiased variances of the batches, summed over micro-batches, as their block has them. */
  readonly statistics: readonly TensorSpec[];
  /** Offsets of single values. */
  readonly tail: {
    readonly lossSum: number;
    readonly correct: number;
    readonly samples: number;
    readonly microBatches: number;
    /**
     * What the loss and the gradients are divided by for their mean: the samples, or the sum of their class
     * weights.
     */
    readonly weight: number;
  };
}

/** @param options.averaged whether the state holds the moving average of parameters and statistics */
export function layOutState(network: NetworkSpec, { averaged = false } = {}): StateLayout {
  const specs = network.parameters.map(({ name, shape, group }) => ({ name, shape, group }));
  const moments = (order: 'first' | 'second') =>
    specs.map(({ name, shape }) => ({ name: momentName(order, name), shape }));
  const parameters = place(specs, 0);
  const statistics = place(describeStatistics(network), parameters.end);
  const first = place(moments('first'), statistics.end);
  const second = place(moments('second'), first.end);
  const updates = place([{ name: 'optimizer.updates', shape: [1] }], second.end);
  const amax = place([{ name: 'optimizer.amax', shape: [specs.length] }], updates.end);
  const evaluated = [...specs, ...describeStatistics(network)];
  const averages = averaged ? evaluated.map(({ name, shape }) => ({ name: averageName(name), shape })) : [];
  const average = place(averages, amax.end);
  return {
    parameters: parameters.placed,
    statistics: statistics.placed,
    first: first.placed,
    second: second.placed,
    updates: updates.placed[0]!,
    amax: amax.placed[0]!,
    average: average.placed,
    length: average.end,
    parameterLength: parameters.end,
    evaluated: averaged ? { start: amax.end, end: average.end } : { start: 0, end: statistics.end },
  };
}

/** What a parameter's moment is called. */
export function momentName(order: 'first' | 'second', parameter: string): string {
  return `optimizer.${order}.${parameter}`;
}

/** What the moving average of a parameter or statistic is called. */
export function averageName(averaged: string): string {
  return `average.${averaged}`;
}

/**
 * @param options.weighted whether samples weigh differently: the sum of their weights then has a place of its
 *   own
 */
export function layOutReduction(
  network: NetworkSpec,
  trainable: Trainable,
  { weighted = false } = {},
): ReductionLayout {
  const blocks = layOutParameters(network).filter((block) => isTrained(block, trainable));
  const gradients = place(
    blocks.flatMap(({ tensors }) => tensors),
    0,
    rowLength,
  );
  const statistics = place(describeStatistics(network), gradients.end, rowLength);
  const length = statistics.end + rowLength;
  return {
    length,
    parts: cutParts(blocks, trainable, length),
    gradientLength: gradients.end,
    gradients: gradients.placed,
    statistics: statistics.placed,
    tail: placeTail(statistics.end, weighted),
  };
}

function placeTail(start: number, weighted: boolean): ReductionLayout['tail'] {
  return {
    lossSum: start,
    correct: start + 1,
    samples: start + 2,
    microBatches: start + 3,
    weight: weighted ? start + 4 : start + 2,
  };
}

/**
 * The head and layer4, then layer3, then the rest: nine tenths of a ResNet34's bytes are known, and can
 * travel, while the larger half of the backward pass is still to come. A frozen set is too small to be worth
 * it.
 */
function cutParts(
  blocks: readonly ParameterBlock[],
  trainable: Trainable,
  length: number,
): ReductionLayout['parts'] {
  if (trainable === 'frozen') return [{ start: 0, end: length }];
  const ends = [0, 1].map((part) =>
    blocks.reduce((sum, block) => sum + (block.part <= part ? block.length : 0), 0),
  );
  const starts = [0, ...ends];
  return starts.map((start, index) => ({ start, end: starts[index + 1] ?? length }));
}
