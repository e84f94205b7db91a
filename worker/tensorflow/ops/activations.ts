import { type FloatDType, floats } from '../dtype.js';
import { output, type Tensor } from '../graph.js';
import { shapesAgree } from '../shape.js';
import { check, checkDType, checkRank, checkSameDType } from './checks.js';

function activation<D extends FloatDType>(op: string, x: Tensor<D>): Tensor<D> {
  checkDType(op, floats, x);
  const attributes = { T: { kind: 'type', value: x.dtype } } as const;
  const outputs = [{ dtype: x.dtype, shape: x.shape }];
  return output(x.node.graph.add({ op, inputs: [x], attributes, outputs }));
}

/** max(x, 0) */
export const relu = <D extends FloatDType>(x: Tensor<D>): Tensor<D> => activation('Relu', x);

/** 1 / (1 + e^−x) */
export const sigmoid = <D extends FloatDType>(x: Tensor<D>): Tensor<D> => activation('Sigmoid', x);

/** Probabilities from logits [n, classes]. */
export function softmax<D extends FloatDType>(logits: Tensor<D>): Tensor<D> {
  checkRank('Softmax', 2, logits);
  return activation('Softmax', logits);
}

/** Logarithms of the probabilities from logits [n, classes]. */
export function logSoftmax<D extends FloatDType>(logits: Tensor<D>): Tensor<D> {
  checkRank('LogSoftmax', 2, logits);
  return activation('LogSoftmax', logits);
}

/** The part of `gradient` where relu's `result` is above zero. */
export function reluGradient<D extends FloatDType>(gradient: Tensor<D>, result: Tensor<D>): Tensor<D> {
  checkSameDType('ReluGrad', gradient, result);
  const fits = shapesAgree(gradient.shape, result.shape);
  check(fits, 'ReluGrad', 'gradient and result must have one shape', gradient, result);
  const attributes = { T: { kind: 'type', value: result.dtype } } as const;
  const outputs = [{ dtype: result.dtype, shape: result.shape }];
  return output(result.node.graph.add({ op: 'ReluGrad', inputs: [gradient, result], attributes, outputs }));
}
