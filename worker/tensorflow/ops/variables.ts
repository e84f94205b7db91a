import type { DType } from '../dtype.js';
import { type Graph, type Node, output, type Tensor } from '../graph.js';
import type { Shape } from '../shape.js';
import { check, checkDType, checkShape } from './checks.js';
import { identity } from './convert.js';
import { constant } from './sources.js';

/** A value that stays in the session between runs. */
export interface Variable<D extends DType = 'float32'> {
  readonly handle: Tensor<'resource'>;
  readonly dtype: D;
  /** A size of null may differ from one value to the next. */
  readonly shape: Shape;
}

export function variable<D extends DType>(graph: Graph, name: string, dtype: D, shape: Shape): Variable<D> {
  const attributes = {
    dtype: { kind: 'type', value: dtype },
    shape: { kind: 'shape', value: shape },
    shared_name: { kind: 'string', value: name },
    container: { kind: 'string', value: '' },
  } as const;
  const outputs = [{ dtype: 'resource', shape: [] }] as const;
  return { handle: output(graph.add({ op: 'VarHandleOp', name, attributes, outputs })), dtype, shape };
}

/** The value at the time of the read; order it against updates with `graph.after`. */
export function read<D extends DType>({ handle, dtype, shape }: Variable<D>): Tensor<D> {
  const attributes = { dtype: { kind: 'type', value: dtype } } as const;
  const outputs = [{ dtype, shape }];
  return output(handle.node.graph.add({ op: 'ReadVariableOp', inputs: [handle], attributes, outputs }));
}

function update<D extends DType>(op: string, { handle, dtype, shape }: Variable<D>, value: Tensor): Node {
  checkDType(op, [dtype], value);
  checkShape(op, shape, value);
  const attributes = { dtype: { kind: 'type', value: dtype } } as const;
  return handle.node.graph.add({ op, inputs: [handle, value], attributes, outputs: [] });
}

/** The variable takes over the value's memory: give a `copy` of anything that was fed. */
export const assign = <D extends DType>(target: Variable<D>, value: Tensor<D>): Node =>
  update('AssignVariableOp', target, value);
export const assignAdd = <D extends DType>(target: Variable<D>, value: Tensor<D>): Node =>
  update('AssignAddVariableOp', target, value);
export const assignSubtract = <D extends DType>(target: Variable<D>, value: Tensor<D>): Node =>
  update('AssignSubVariableOp', target, value);

export interface AdamScalars {
  readonly learningRate: Tensor<'float32'>;
  readonly beta1: Tensor<'float32'>;
  readonly beta2: Tensor<'float32'>;
  readonly epsilon: Tensor<'float32'>;
}

/**
 * m += (g − m)(1 − β1); v += (g² − v)(1 − β2); p −= learningRate · m / (√v + epsilon). There is no bias
 * correction here: the caller puts it into `learningRate` and `epsilon`.
 */
export function applyAdam(
  parameter: Variable,
  first: Variable,
  second: Variable,
  gradient: Tensor<'float32'>,
  scalars: AdamScalars,
): Node {
  const op = 'ResourceApplyAdam';
  for (const moment of [first, second]) {
    const fits = moment.shape.join() === parameter.shape.join();
    check(fits, op, 'moments must have the shape of their parameter', parameter.handle, moment.handle);
  }
  checkShape(op, parameter.shape, gradient);
  const { learningRate, beta1, beta2, epsilon } = scalars;
  for (const scalar of [learningRate, beta1, beta2, epsilon]) checkShape(op, [], scalar);
  const graph = parameter.handle.node.graph;
  const none = constant(graph, 'float32', 0);
  return graph.add({
    op,
    inputs: [
      ...[parameter.handle, first.handle, second.handle, none, none],
      ...[learningRate, beta1, beta2, epsilon, gradient],
    ],
    attributes: {
      T: { kind: 'type', value: 'float32' },
      use_locking: { kind: 'bool', value: false },
      use_nesterov: { kind: 'bool', value: false },
    },
    outputs: [],
  });
}

/** A fetch that stands for a run of `nodes`: a session has no other way to be told to run an update. */
export function done(graph: Graph, name: string, nodes: readonly Node[]): Tensor<'int32'> {
  const zero = constant(graph, 'int32', 0);
  return graph.after(nodes, () => identity(zero, name));
}
