import { type FloatDType, floats } from '../dtype.js';
import { output, type Tensor } from '../graph.js';
import { sizesAgree } from '../shape.js';
import { check, checkDType, checkRank, checkSameDType } from './checks.js';

/** a · b of matrices, either of them transposed first. */
export function matMul<D extends FloatDType>(
  a: Tensor<D>,
  b: Tensor<D>,
  transposed: { a?: boolean; b?: boolean } = {},
): Tensor<D> {
  checkDType('MatMul', floats, a, b);
  checkSameDType('MatMul', a, b);
  checkRank('MatMul', 2, a);
  checkRank('MatMul', 2, b);
  const [rows, left] = transposed.a ? [a.shape[1]!, a.shape[0]!] : [a.shape[0]!, a.shape[1]!];
  const [right, columns] = transposed.b ? [b.shape[1]!, b.shape[0]!] : [b.shape[0]!, b.shape[1]!];
  check(sizesAgree(left, right), 'MatMul', `inner dimensions ${left} and ${right} differ`, a, b);
  const attributes = {
    T: { kind: 'type', value: a.dtype },
    transpose_a: { kind: 'bool', value: transposed.a ?? false },
    transpose_b: { kind: 'bool', value: transposed.b ?? false },
  } as const;
  const outputs = [{ dtype: a.dtype, shape: [rows, columns] }];
  return output(a.node.graph.add({ op: 'MatMul', inputs: [a, b], attributes, outputs }));
}

/** Adds `bias` [channels] along the last dimension. */
export function biasAdd<D extends FloatDType>(x: Tensor<D>, bias: Tensor<D>): Tensor<D> {
  checkDType('BiasAdd', floats, x, bias);
  checkSameDType('BiasAdd', x, bias);
  checkRank('BiasAdd', 1, bias);
  const fits = x.shape.length >= 2 && sizesAgree(x.shape.at(-1)!, bias.shape[0]!);
  check(fits, 'BiasAdd', 'the bias must match the last dimension', x, bias);
  const attributes = {
    T: { kind: 'type', value: x.dtype },
    data_format: { kind: 'string', value: 'NHWC' },
  } as const;
  const outputs = [{ dtype: x.dtype, shape: x.shape }];
  return output(x.node.graph.add({ op: 'BiasAdd', inputs: [x, bias], attributes, outputs }));
}

/** Sums `gradient` over every dimension but the last: [channels]. */
export function biasAddGradient<D extends FloatDType>(gradient: Tensor<D>): Tensor<D> {
  checkDType('BiasAddGrad', floats, gradient);
  const attributes = {
    T: { kind: 'type', value: gradient.dtype },
    data_format: { kind: 'string', value: 'NHWC' },
  } as const;
  const outputs = [{ dtype: gradient.dtype, shape: gradient.shape.slice(-1) }];
  return output(gradient.node.graph.add({ op: 'BiasAddGrad', inputs: [gradient], attributes, outputs }));
}
