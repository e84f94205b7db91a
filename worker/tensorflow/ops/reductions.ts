import { type DType, type FloatDType, floats } from '../dtype.js';
import { output, type Tensor } from '../graph.js';
import { check, checkDType } from './checks.js';
import { constant } from './sources.js';

function reduce<D extends DType>(
  op: string,
  x: Tensor<D>,
  axes: readonly number[],
  keepDims: boolean,
): Tensor<D> {
  for (const axis of axes) check(axis >= 0 && axis < x.shape.length, op, `no dimension ${axis}`, x);
  const graph = x.node.graph;
  const attributes = {
    ...(x.dtype === 'bool' ? {} : { T: { kind: 'type', value: x.dtype } as const }),
    Tidx: { kind: 'type', value: 'int32' },
    keep_dims: { kind: 'bool', value: keepDims },
  } as const;
  const shape = x.shape
    .map((size, axis) => (axes.includes(axis) ? 1 : size))
    .filter((_, axis) => keepDims || !axes.includes(axis));
  const inputs = [x, constant(graph, 'int32', axes)];
  return output(graph.add({ op, inputs, attributes, outputs: [{ dtype: x.dtype, shape }] }));
}

const everyAxis = (x: Tensor): number[] => x.shape.map((_, axis) => axis);

/** Sum over `axes` (all of them by default), which disappear unless kept as 1. */
export function sum<D extends FloatDType | 'int32'>(
  x: Tensor<D>,
  axes: readonly number[] = everyAxis(x),
  keepDims = false,
): Tensor<D> {
  checkDType('Sum', [...floats, 'int32'], x);
  return reduce('Sum', x, axes, keepDims);
}

/** Mean over `axes`, which disappear unless kept as 1. */
export function mean<D extends FloatDType>(
  x: Tensor<D>,
  axes: readonly number[],
  keepDims = false,
): Tensor<D> {
  checkDType('Mean', floats, x);
  return reduce('Mean', x, axes, keepDims);
}

/** The largest along `axes` (all of them by default), which disappear. What becomes of NaN depends on the device. */
export function max<D extends FloatDType>(x: Tensor<D>, axes: readonly number[] = everyAxis(x)): Tensor<D> {
  checkDType('Max', floats, x);
  return reduce('Max', x, axes, false);
}

/** True if every element is. */
export function all(x: Tensor<'bool'>): Tensor<'bool'> {
  checkDType('All', ['bool'], x);
  return reduce('All', x, everyAxis(x), false);
}

/** Index of the largest element along the last dimension, which disappears. */
export function argMax(x: Tensor<'float32'>): Tensor<'int32'> {
  checkDType('ArgMax', ['float32'], x);
  const graph = x.node.graph;
  const attributes = {
    T: { kind: 'type', value: x.dtype },
    Tidx: { kind: 'type', value: 'int32' },
    output_type: { kind: 'type', value: 'int32' },
  } as const;
  const inputs = [x, constant(graph, 'int32', x.shape.length - 1)];
  const outputs = [{ dtype: 'int32', shape: x.shape.slice(0, -1) }] as const;
  return output(graph.add({ op: 'ArgMax', inputs, attributes, outputs }));
}
