import type { DType } from '../dtype.js';
import { output, type Tensor } from '../graph.js';
import { broadcastShapes, elementCount, type Shape, shapesAgree, sizesAgree } from '../shape.js';
import { check, checkRank, checkSameDType } from './checks.js';
import { constant, shapeOf } from './sources.js';

/**
 * One size may be null: it takes what is left. `x` itself where it has the shape already, unless `name` is given.
 */
export function reshape<D extends DType>(x: Tensor<D>, shape: Shape, name?: string): Tensor<D> {
  const graph = x.node.graph;
  const unknown = shape.filter((size) => size === null).length;
  check(unknown <= 1, 'Reshape', `${unknown} sizes of the new shape are unknown; one at most can be`, x);
  const before = elementCount(x.shape);
  const known = shape.reduce<number>((count, size) => count * (size ?? 1), 1);
  const after = unknown === 0 ? known : null;
  check(
    before === null || (after === null ? before % known === 0 : before === after),
    'Reshape',
    `${before} elements do not fit shape [${shape.map((size) => size ?? 'n').join(', ')}]`,
    x,
  );
  const axisIsKept = (size: number | null, axis: number) => size === null || size === x.shape[axis];
  if (!name && shape.length === x.shape.length && shape.every(axisIsKept)) return x;
  // One that was reshaped before has its elements in the same order.
  const source = x.node.op === 'Reshape' ? (x.node.inputs[0] as Tensor as Tensor<D>) : x;
  const inferred = before === null ? null : before / known;
  const sizes = constant(
    graph,
    'int32',
    shape.map((size) => size ?? -1),
  );
  const attributes = {
    T: { kind: 'type', value: x.dtype },
    Tshape: { kind: 'type', value: 'int32' },
  } as const;
  const outputs = [{ dtype: x.dtype, shape: shape.map((size) => size ?? inferred) }];
  return output(
    graph.add({ op: 'Reshape', ...(name ? { name } : {}), inputs: [source, sizes], attributes, outputs }),
  );
}

/**
 * Rows [n × rows, …] as [n, rows, …]; n is the first size of `like`, and both are known when the graph runs.
 */
export function divideRows<D extends DType>(x: Tensor<D>, like: Tensor): Tensor<D> {
  const op = 'Reshape';
  const [rows, ...rest] = x.shape;
  check(rows === null && rest.every((size) => size !== null), op, 'all sizes but the first are wanted', x);
  const graph = x.node.graph;
  const sizes = concat(
    [slice(shapeOf(like), [0], [1]), constant(graph, 'int32', [-1, ...(rest as number[])])],
    0,
  );
  const attributes = {
    T: { kind: 'type', value: x.dtype },
    Tshape: { kind: 'type', value: 'int32' },
  } as const;
  const outputs = [{ dtype: x.dtype, shape: [like.shape[0]!, null, ...rest] }];
  return output(graph.add({ op, inputs: [x, sizes], attributes, outputs }));
}

/** A batch of one: [1, …]. */
export function asBatch<D extends DType>(x: Tensor<D>): Tensor<D> {
  const graph = x.node.graph;
  const attributes = {
    T: { kind: 'type', value: x.dtype },
    Tdim: { kind: 'type', value: 'int32' },
  } as const;
  const inputs = [x, constant(graph, 'int32', 0)];
  const outputs = [{ dtype: x.dtype, shape: [1, ...x.shape] }];
  return output(graph.add({ op: 'ExpandDims', inputs, attributes, outputs }));
}

/** Gives `x` the shape of `like` when the graph runs; the two must have the same number of elements. */
export function reshapeLike<D extends DType>(x: Tensor<D>, like: Tensor): Tensor<D> {
  const unknown = like.shape.filter((size) => size === null).length;
  check(unknown <= 1, 'Reshape', 'the model shape has more than one unknown size', like);
  return reshape(x, like.shape);
}

/** Dimension k of the result is dimension `permutation[k]` of `x`. */
export function transpose<D extends DType>(x: Tensor<D>, permutation: readonly number[]): Tensor<D> {
  checkRank('Transpose', permutation.length, x);
  const sorted = [...permutation].sort((a, b) => a - b);
  check(
    sorted.every((axis, index) => axis === index),
    'Transpose',
    `[${permutation.join(', ')}] is not a permutation`,
    x,
  );
  const graph = x.node.graph;
  const axes = constant(graph, 'int32', permutation);
  const attributes = {
    T: { kind: 'type', value: x.dtype },
    Tperm: { kind: 'type', value: 'int32' },
  } as const;
  const outputs = [{ dtype: x.dtype, shape: permutation.map((axis) => x.shape[axis]!) }];
  return output(graph.add({ op: 'Transpose', inputs: [x, axes], attributes, outputs }));
}

/** Joins tensors that differ in size along `axis` only. */
export function concat<D extends DType>(parts: readonly Tensor<D>[], axis: number): Tensor<D> {
  const first = parts[0];
  check(first !== undefined, 'ConcatV2', 'nothing to join');
  if (parts.length === 1) return first;
  checkSameDType('ConcatV2', parts);
  check(axis >= 0 && axis < first.shape.length, 'ConcatV2', `no dimension ${axis}`, first);
  let size: number | null = 0;
  for (const part of parts) {
    const fits =
      part.shape.length === first.shape.length &&
      part.shape.every((length, k) => k === axis || sizesAgree(length, first.shape[k]!));
    check(fits, 'ConcatV2', `parts must agree in every dimension but ${axis}`, first, part);
    const length: number | null = part.shape[axis]!;
    size = size === null || length === null ? null : size + length;
  }
  const graph = first.node.graph;
  const attributes = {
    N: { kind: 'int', value: parts.length },
    T: { kind: 'type', value: first.dtype },
    Tidx: { kind: 'type', value: 'int32' },
  } as const;
  const inputs = [...parts, constant(graph, 'int32', axis)];
  const outputs = [
    { dtype: first.dtype, shape: first.shape.map((length, k) => (k === axis ? size : length)) },
  ];
  return output(graph.add({ op: 'ConcatV2', inputs, attributes, outputs }));
}

/** The vectors that `x` joins, where it is a concatenation of them; else itself alone. */
export function joinedBy<D extends DType>(x: Tensor<D>): Tensor<D>[] {
  if (x.shape.length !== 1 || x.node.op !== 'ConcatV2') return [x];
  return x.node.inputs.slice(0, -1) as Tensor[] as Tensor<D>[];
}

/** Cuts `x` along `axis` into pieces of the given sizes, which must add up. */
export function split<D extends DType>(x: Tensor<D>, sizes: readonly number[], axis: number): Tensor<D>[] {
  const whole = x.shape[axis];
  const total = sizes.reduce((sum, size) => sum + size, 0);
  check(whole !== undefined && whole !== null, 'SplitV', `dimension ${axis} must be known`, x);
  check(whole === total, 'SplitV', `pieces of ${total} in all do not fill dimension ${axis}`, x);
  const graph = x.node.graph;
  const attributes = {
    T: { kind: 'type', value: x.dtype },
    Tlen: { kind: 'type', value: 'int32' },
    num_split: { kind: 'int', value: sizes.length },
  } as const;
  const inputs = [x, constant(graph, 'int32', sizes), constant(graph, 'int32', axis)];
  const outputs = sizes.map((size) => ({
    dtype: x.dtype,
    shape: x.shape.map((length, k) => (k === axis ? size : length)),
  }));
  const node = graph.add({ op: 'SplitV', inputs, attributes, outputs });
  return sizes.map((_, index) => output(node, index));
}

/** A box of `x`; a size of null takes all that is left in that dimension. */
export function slice<D extends DType>(x: Tensor<D>, begin: readonly number[], size: Shape): Tensor<D> {
  checkRank('Slice', begin.length, x);
  checkRank('Slice', size.length, x);
  const shape = x.shape.map((length, axis) => {
    const from = begin[axis]!;
    const wanted = size[axis]!;
    const fits = length === null || (from >= 0 && from + (wanted ?? 0) <= length);
    check(fits, 'Slice', `dimension ${axis} from ${from}, ${wanted} long, lies outside`, x);
    return wanted ?? (length === null ? null : length - from);
  });
  const graph = x.node.graph;
  const sizes = constant(
    graph,
    'int32',
    size.map((length) => length ?? -1),
  );
  const attributes = {
    T: { kind: 'type', value: x.dtype },
    Index: { kind: 'type', value: 'int32' },
  } as const;
  const inputs = [x, constant(graph, 'int32', begin), sizes];
  return output(graph.add({ op: 'Slice', inputs, attributes, outputs: [{ dtype: x.dtype, shape }] }));
}

/** Row k of the result is row `indices[k]` of `x`. */
export function gather<D extends DType>(x: Tensor<D>, indices: Tensor<'int32'>): Tensor<D> {
  checkRank('GatherV2', 1, indices);
  check(x.shape.length > 0, 'GatherV2', 'a scalar has no rows', x);
  const graph = x.node.graph;
  const attributes = {
    Tparams: { kind: 'type', value: x.dtype },
    Tindices: { kind: 'type', value: 'int32' },
    Taxis: { kind: 'type', value: 'int32' },
    batch_dims: { kind: 'int', value: 0 },
  } as const;
  const inputs = [x, indices, constant(graph, 'int32', 0)];
  const outputs = [{ dtype: x.dtype, shape: [indices.shape[0]!, ...x.shape.slice(1)] }];
  return output(graph.add({ op: 'GatherV2', inputs, attributes, outputs }));
}

/** The largest element of each of `count` segments; `segments` [n] says to which each of `x` [n] belongs. */
export function segmentMax(
  x: Tensor<'float32'>,
  segments: Tensor<'int32'>,
  count: number,
): Tensor<'float32'> {
  checkRank('UnsortedSegmentMax', 1, x);
  checkRank('UnsortedSegmentMax', 1, segments);
  const graph = x.node.graph;
  const attributes = {
    T: { kind: 'type', value: 'float32' },
    Tindices: { kind: 'type', value: 'int32' },
    Tnumsegments: { kind: 'type', value: 'int32' },
  } as const;
  const inputs = [x, segments, constant(graph, 'int32', count)];
  const outputs = [{ dtype: 'float32', shape: [count] }] as const;
  return output(graph.add({ op: 'UnsortedSegmentMax', inputs, attributes, outputs }));
}

/** Zeros around `x`: `paddings[axis]` is [before, after]. */
export function pad<D extends DType>(
  x: Tensor<D>,
  paddings: readonly (readonly [number, number])[],
): Tensor<D> {
  checkRank('Pad', paddings.length, x);
  const graph = x.node.graph;
  const amounts = constant(graph, 'int32', paddings.flat(), [paddings.length, 2]);
  const attributes = {
    T: { kind: 'type', value: x.dtype },
    Tpaddings: { kind: 'type', value: 'int32' },
  } as const;
  const shape = x.shape.map((length, axis) =>
    length === null ? null : length + paddings[axis]![0] + paddings[axis]![1],
  );
  return output(
    graph.add({ op: 'Pad', inputs: [x, amounts], attributes, outputs: [{ dtype: x.dtype, shape }] }),
  );
}

/** Repeats `x` along its dimensions of size 1 until it has the shape of `like`. */
export function broadcastTo<D extends DType>(x: Tensor<D>, like: Tensor): Tensor<D> {
  const shape = broadcastShapes(x.shape, like.shape);
  const fits = shape !== undefined && shapesAgree(shape, like.shape);
  check(fits, 'BroadcastTo', 'the shapes do not broadcast', x, like);
  const attributes = {
    T: { kind: 'type', value: x.dtype },
    Tidx: { kind: 'type', value: 'int32' },
  } as const;
  const outputs = [{ dtype: x.dtype, shape: like.shape }];
  return output(x.node.graph.add({ op: 'BroadcastTo', inputs: [x, shapeOf(like)], attributes, outputs }));
}
