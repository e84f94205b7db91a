import type { Trainable } from '../../plan/run-config.js';
import { rowLength } from '../tensorflow/rows.js';
import { isTrained, type NetworkSpec, volume } from './parameters.js';

export interface TensorSpec {
  /** As in torchvision; `head.4.weight` and so on in the head; `bn1.running_mean`; `optimizer.first.NAME`. */
  readonly name: string;
  /** In PyTorch's layout. */
  readonly shape: readonly number[];
  /** Of the first value in the flat vector. */
  readonly offset: number;
}

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
  /**
   * Sums over samples, in the order of the backward pass. A four-dimensional shape is HWIO, as TensorFlow has
   * it.
   */
  readonly gradients: readonly TensorSpec[];
  /** Means and unbiased variances of the batches, summed over micro-batches. */
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

/** How many rows `count` values fill. */
export function rowsOf(count: number): number {
  return Math.ceil(count / rowLength);
}

/** Lays tensors one behind the other from `start`, each in whole units of `unit` values. */
function place<T extends { readonly name: string; readonly shape: readonly number[] }>(
  tensors: readonly T[],
  start: number,
  unit = 1,
): { placed: (T & TensorSpec)[]; end: number } {
  let offset = start;
  const placed = tensors.map((tensor) => {
    const spec = { ...tensor, offset };
    offset += unit * Math.ceil(volume(tensor.shape) / unit);
    return spec;
  });
  return { placed, end: offset };
}

function describeStatistics({ norms }: NetworkSpec) {
  return norms.flatMap(({ name, channels }) => [
    { name: `${name}.running_mean`, shape: [channels] },
    { name: `${name}.running_var`, shape: [channels] },
  ]);
}

/** @param options.averaged whether the state holds the moving average of parameters and statistics */
export function layOutState(network: NetworkSpec, { averaged = false } = {}): StateLayout {
  const specs = network.parameters.map(({ name, shape, group }) => ({ name, shape, group }));
  const moments = (order: string) =>
    specs.map(({ name, shape }) => ({ name: `optimizer.${order}.${name}`, shape }));
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

/** What the moving average of a parameter or statistic is called. */
export function averageName(averaged: string): string {
  return `average.${averaged}`;
}

/** The shape in which TensorFlow holds a parameter: filters as HWIO, the rest as PyTorch does. */
export function heldShape(shape: readonly number[]): readonly number[] {
  const [output, input, height, width] = shape;
  return shape.length === 4 ? [height!, width!, input!, output!] : shape;
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
  const trained = network.parameters
    .filter((parameter) => isTrained(parameter, trainable))
    .map(({ name, shape }) => ({ name, shape: heldShape(shape) }))
    .reverse();
  const gradients = place(trained, 0, rowLength);
  const statistics = place(describeStatistics(network), gradients.end, rowLength);
  const length = statistics.end + rowLength;
  return {
    length,
    parts: cutParts(gradients.placed, trainable, length),
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
  gradients: readonly TensorSpec[],
  trainable: Trainable,
  length: number,
): ReductionLayout['parts'] {
  const firstOf = (prefix: string) => gradients.find(({ name }) => name.startsWith(prefix))!.offset;
  const starts = trainable === 'frozen' ? [0] : [0, firstOf('layer3.'), firstOf('layer2.')];
  return starts.map((start, index) => ({ start, end: starts[index + 1] ?? length }));
}
