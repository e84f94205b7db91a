import { type FloatDType, floats } from '../dtype.js';
import { type Node, output, type Tensor } from '../graph.js';
import { divide, multiply, negate } from '../ops/arithmetic.js';
import { broadcastTo, reshape } from '../ops/arrays.js';
import { check, checkDType } from '../ops/checks.js';
import { cast } from '../ops/convert.js';
import { sum } from '../ops/reductions.js';
import { constant } from '../ops/sources.js';
import { constantValues } from './constant-values.js';
import type { GradientRules } from './rule.js';

type Real = Tensor<FloatDType>;

/** Sums a gradient over the dimensions along which an operand was broadcast. */
function unbroadcast(gradient: Real, operand: Tensor): Real {
  const missing = gradient.shape.length - operand.shape.length;
  const axes = gradient.shape
    .map((_, axis) => axis)
    .filter((axis) => axis < missing || (operand.shape[axis - missing] === 1 && gradient.shape[axis] !== 1));
  if (axes.length === 0) return gradient;
  return reshape(sum(gradient, axes, true), operand.shape);
}

/** Gives every element that a reduction went over the gradient of its result. */
function spread({ inputs }: Node, gradient: Real): Real {
  const [x, axes] = [inputs[0]!, constantValues(inputs[1]!)];
  const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
  return broadcastTo(reshape(gradient, kept), x);
}

function real(tensor: Tensor): Real {
  checkDType('gradient', floats, tensor);
  return tensor as Real;
}

export const arithmeticRules: GradientRules = {
  AddV2: ({ inputs }, gradient, wanted) =>
    inputs.map((input, index) => (wanted[index] ? unbroadcast(real(gradient), input) : undefined)),
  Sub: ({ inputs }, gradient, wanted) => [
    wanted[0] ? unbroadcast(real(gradient), inputs[0]!) : undefined,
    wanted[1] ? unbroadcast(negate(real(gradient)), inputs[1]!) : undefined,
  ],
  Mul: ({ inputs }, gradient, wanted) => {
    const [a, b] = inputs.map(real) as [Real, Real];
    return [
      wanted[0] ? unbroadcast(multiply(real(gradient), b), a) : undefined,
      wanted[1] ? unbroadcast(multiply(real(gradient), a), b) : undefined,
    ];
  },
  Neg: (_, gradient) => [negate(real(gradient))],
  RealDiv: (node, gradient, wanted) => {
    const [a, b] = node.inputs.map(real) as [Real, Real];
    const part = divide(real(gradient), b);
    return [
      wanted[0] ? unbroadcast(part, a) : undefined,
      wanted[1] ? unbroadcast(negate(multiply(part, output<FloatDType>(node))), b) : undefined,
    ];
  },
  Rsqrt: (node, gradient) => {
    const root = output<FloatDType>(node);
    const minusHalf = constant(node.graph, 'float32', -0.5);
    const slope = multiply(cast(minusHalf, root.dtype), multiply(root, multiply(root, root)));
    return [multiply(real(gradient), slope)];
  },
  Sum: (node, gradient) => [spread(node, real(gradient)), undefined],
  Mean: (node, gradient) => {
    const x = node.inputs[0]!;
    const axes = constantValues(node.inputs[1]!);
    const count = axes.reduce<number | null>((product, axis) => {
      const size = x.shape[axis]!;
      return product === null || size === null ? null : product * size;
    }, 1);
    check(count !== null, 'Mean', 'the sizes that it runs over must be known', x);
    const share = cast(constant(x.node.graph, 'float32', 1 / count), real(gradient).dtype);
    return [spread(node, multiply(real(gradient), share)), undefined];
  },
};
