import type { FloatDType } from '../tensorflow/dtype.js';
import type { Tensor } from '../tensorflow/graph.js';
import { reshape, slice, split } from '../tensorflow/ops/arrays.js';
import { zeros } from '../tensorflow/ops/sources.js';
import { rowLength } from '../tensorflow/rows.js';
import { type NetworkSpec, type ParameterSpec, volume } from './parameters.js';

// Tensors that are treated alike lie in one variable, one behind the other in rows of 64 bytes: TensorFlow
// takes rows apart without a copy, and an update is a dozen operations instead of a thousand, each of which
// costs more to start on a GPU than to compute.

export interface TensorSpec {
  /** As in torchvision; `head.4.weight` and so on in the head; `bn1.running_mean`; `optimizer.first.NAME`. */
  readonly name: string;
  /** In PyTorch's layout, unless it is said to be the held one. */
  readonly shape: readonly number[];
  /** Of the first value in the flat vector or block. */
  readonly offset: number;
}

export interface Block {
  readonly name: string;
  /** In the shapes in which TensorFlow holds them. */
  readonly tensors: readonly TensorSpec[];
  /** Values, in whole rows; there are zeros between the tensors. */
  readonly length: number;
}

/** Parameters of one layer group whose gradients become known together, and which the same sets train. */
export interface ParameterBlock extends Block, Pick<ParameterSpec, 'group' | 'part' | 'inFrozen'> {}

/** How many rows `count` values fill. */
export function rowsOf(count: number): number {
  return Math.ceil(count / rowLength);
}

/** Lays tensors one behind the other from `start`, each in whole units of `unit` values. */
export function place<T extends Pick<TensorSpec, 'name' | 'shape'>>(
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

/** The shape in which TensorFlow holds a parameter: filters as HWIO, the rest as PyTorch does. */
export function heldShape(shape: readonly number[]): readonly number[] {
  const [output, input, height, width] = shape;
  return shape.length === 4 ? [height!, width!, input!, output!] : shape;
}

/** Blocks, and parameters in them, in the order in which the backward pass makes gradients known. */
export function layOutParameters({ parameters }: NetworkSpec): readonly ParameterBlock[] {
  const blocks = new Map<string, ParameterSpec[]>();
  for (const parameter of [...parameters].reverse()) {
    const { part, group, inFrozen } = parameter;
    const name = `part-${part}-group-${group}-${inFrozen ? 'always' : 'unfrozen'}`;
    blocks.set(name, [...(blocks.get(name) ?? []), parameter]);
  }
  return [...blocks].map(([name, members]) => {
    const { part, group, inFrozen } = members[0]!;
    const specs = members.map((member) => ({ name: member.name, shape: heldShape(member.shape) }));
    const { placed, end } = place(specs, 0, rowLength);
    return { name, part, group, inFrozen, tensors: placed, length: end };
  });
}

/** Running mean, then running variance, of each batch norm. */
export function describeStatistics({ norms }: NetworkSpec): Pick<TensorSpec, 'name' | 'shape'>[] {
  return norms.flatMap(({ name, channels }) => [
    { name: `${name}.running_mean`, shape: [channels] },
    { name: `${name}.running_var`, shape: [channels] },
  ]);
}

export function layOutStatistics(network: NetworkSpec): Block {
  const { placed, end } = place(describeStatistics(network), 0, rowLength);
  return { name: 'statistics', tensors: placed, length: end };
}

/** The values of a tensor in whole rows, flat: with the zeros that fill the last one up. */
export function fillRows<D extends FloatDType>(value: Tensor<D>): Tensor<D>[] {
  const flat = reshape(value, [null]);
  const count = flat.shape[0]!;
  const missing = rowLength * rowsOf(count) - count;
  return missing === 0 ? [flat] : [flat, zeros(value.node.graph, value.dtype, [missing])];
}

/** The tensors of a block, from its rows [n, rowLength]. */
export function splitTensors<D extends FloatDType>(rows: Tensor<D>, block: Block): Tensor<D>[] {
  const { tensors, length } = block;
  const ends = [...tensors.slice(1).map(({ offset }) => offset), length];
  const sizes = tensors.map(({ offset }, index) => rowsOf(ends[index]! - offset));
  return split(rows, sizes, 0).map((piece, index) => {
    const { shape } = tensors[index]!;
    const flat = reshape(piece, [null]);
    const count = volume(shape);
    return reshape(count === flat.shape[0] ? flat : slice(flat, [0], [count]), shape);
  });
}
