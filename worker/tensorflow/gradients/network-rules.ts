import assert from 'node:assert/strict';
import type { FloatDType } from '../dtype.js';
import { type Node, output, type Tensor } from '../graph.js';
import { reluGradient, softmax } from '../ops/activations.js';
import { multiply, subtract } from '../ops/arithmetic.js';
import { batchNormGradient } from '../ops/batch-norm.js';
import { conv2dFilterGradient, conv2dInputGradient, type Window } from '../ops/convolution.js';
import { biasAddGradient, matMul } from '../ops/linear.js';
import { maxPoolGradient } from '../ops/pooling.js';
import { sum } from '../ops/reductions.js';
import type { GradientRules } from './rule.js';

type Real = Tensor<FloatDType>;

function windowOf({ name, attributes: { strides, padding } }: Node): Window {
  assert(strides?.kind === 'ints' && padding?.kind === 'string', `${name} has no window`);
  return { stride: strides.value[1]!, padding: padding.value as Window['padding'] };
}

/** Convolution, pooling, batch norm, linear layers, activation and loss. */
export const networkRules: GradientRules = {
  Conv2D: (node, gradient, wanted) => {
    const [x, filter] = node.inputs as readonly [Real, Real];
    const window = windowOf(node);
    return [
      wanted[0] ? conv2dInputGradient(x, filter, gradient as Real, window) : undefined,
      wanted[1] ? conv2dFilterGradient(x, filter, gradient as Real, window) : undefined,
    ];
  },
  MaxPool: (node, gradient) => {
    const ksize = node.attributes.ksize;
    assert(ksize?.kind === 'ints', `${node.name} has no window`);
    const pool = { ...windowOf(node), window: [ksize.value[1]!, ksize.value[2]!] as const };
    return [maxPoolGradient(node.inputs[0] as Real, output(node), gradient as Real, pool)];
  },
  FusedBatchNormV3: (node, gradient) => {
    const training = node.attributes.is_training;
    assert(
      training?.kind === 'bool' && training.value,
      `${node.name}: only training mode has a gradient rule`,
    );
    const { x, scale, offset } = batchNormGradient(output(node) as Real, gradient as Real);
    return [x, scale, offset, undefined, undefined];
  },
  Relu: (node, gradient) => [reluGradient(gradient as Real, output(node) as Real)],
  BiasAdd: (_, gradient, wanted) => [gradient, wanted[1] ? biasAddGradient(gradient as Real) : undefined],
  MatMul: (node, gradient, wanted) => {
    const [a, b] = node.inputs as readonly [Real, Real];
    const { transpose_a: first, transpose_b: second } = node.attributes;
    assert(
      first?.kind === 'bool' && second?.kind === 'bool' && !first.value,
      `${node.name}: no gradient rule`,
    );
    const result = gradient as Real;
    return [
      wanted[0] ? matMul(result, b, { b: !second.value }) : undefined,
      wanted[1]
        ? second.value
          ? matMul(result, a, { a: true })
          : matMul(a, result, { a: true })
        : undefined,
    ];
  },
  LogSoftmax: (node, gradient) => {
    const total = sum(gradient as Real, [1], true);
    return [subtract(gradient as Real, multiply(softmax(node.inputs[0] as Real), total))];
  },
};
