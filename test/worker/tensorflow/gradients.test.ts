import { describe, expect, test } from 'vitest';
import { gradients } from '../../../worker/tensorflow/gradients/gradients.js';
import { Graph, type Tensor } from '../../../worker/tensorflow/graph.js';
import { logSoftmax, relu } from '../../../worker/tensorflow/ops/activations.js';
import * as arithmetic from '../../../worker/tensorflow/ops/arithmetic.js';
import * as arrays from '../../../worker/tensorflow/ops/arrays.js';
import { batchNormTraining } from '../../../worker/tensorflow/ops/batch-norm.js';
import { cast, identity } from '../../../worker/tensorflow/ops/convert.js';
import { conv2dCentred } from '../../../worker/tensorflow/ops/convolution.js';
import { biasAdd, matMul } from '../../../worker/tensorflow/ops/linear.js';
import { crossEntropy } from '../../../worker/tensorflow/ops/losses.js';
import { placeholder } from '../../../worker/tensorflow/ops/placeholder.js';
import { plainBatchNormTraining } from '../../../worker/tensorflow/ops/plain-batch-norm.js';
import { maxPool } from '../../../worker/tensorflow/ops/pooling.js';
import { argMax, mean, sum } from '../../../worker/tensorflow/ops/reductions.js';
import { constant } from '../../../worker/tensorflow/ops/sources.js';
import {
  type Differentiable,
  dot,
  gradientsByRule,
  slopes,
} from '../../support/tensorflow/gradient-check.js';
import { norm, relativeDistance } from '../../support/tensorflow/random-values.js';

const away = (value: number) => value + Math.sign(value) * 0.5;

const cases: Record<string, Differentiable> = {
  'add, broadcast both ways': {
    shapes: [
      [null, 1, 4],
      [5, 1],
    ],
    build: (a, b) => arithmetic.add(a!, b!),
  },
  subtract: { shapes: [[null, 4], [4]], build: (a, b) => arithmetic.subtract(a!, b!) },
  'multiply, broadcast': {
    shapes: [
      [null, 4],
      [1, 4],
    ],
    build: (a, b) => arithmetic.multiply(a!, b!),
  },
  'one tensor used twice': { shapes: [[null, 4]], build: (a) => arithmetic.multiply(a!, a!) },
  divide: { shapes: [[null, 4], [4]], build: (a, b) => arithmetic.divide(a!, b!), prepare: away },
  negate: { shapes: [[null, 4]], build: (a) => arithmetic.negate(a!) },
  reciprocalRoot: {
    shapes: [[null, 4]],
    build: (a) => arithmetic.reciprocalRoot(a!),
    prepare: (value) => 1.5 + value,
  },
  'sum over some dimensions': { shapes: [[null, 4, 5]], build: (a) => sum(a!, [0, 2]) },
  'mean, dimensions kept': { shapes: [[null, 4, 5, 2]], build: (a) => mean(a!, [1, 2], true) },
  reshape: { shapes: [[null, 4, 5]], build: (a) => arrays.reshape(a!, [null, 20]) },
  identity: { shapes: [[null, 4]], build: (a) => identity(a!) },
  cast: { shapes: [[null, 4]], build: (a) => cast(cast(a!, 'float64'), a!.dtype) },
  pad: {
    shapes: [[null, 3, 2]],
    build: (a) =>
      arrays.pad(a!, [
        [0, 0],
        [1, 2],
        [0, 1],
      ]),
  },
  concat: {
    shapes: [
      [null, 2],
      [null, 5],
      [null, 1],
    ],
    build: (a, b, c) => arrays.concat([a!, b!, c!, a!], 1),
  },
  matMul: {
    shapes: [
      [null, 4],
      [4, 5],
    ],
    build: (a, b) => matMul(a!, b!),
  },
  'matMul, transposed': {
    shapes: [
      [null, 4],
      [5, 4],
    ],
    build: (a, b) => matMul(a!, b!, { b: true }),
  },
  biasAdd: { shapes: [[null, 2, 4], [4]], build: (a, b) => biasAdd(a!, b!) },
  logSoftmax: { shapes: [[null, 5]], build: (a) => logSoftmax(a!) },
  relu: { shapes: [[null, 20]], build: (a) => relu(a!) },
  'max pool': {
    shapes: [[null, 7, 6, 2]],
    build: (a) => maxPool(a!, { window: [3, 3], stride: 2, padding: 'VALID' }),
  },
  'max pool over everything': {
    shapes: [[null, 3, 2, 5]],
    build: (a) => maxPool(a!, { window: [3, 2], stride: 1, padding: 'VALID' }),
  },
  'convolution 3×3': {
    shapes: [
      [null, 5, 6, 3],
      [3, 3, 3, 4],
    ],
    build: (a, b) => conv2dCentred(a!, b!, 1),
  },
  'convolution 1×1': {
    shapes: [
      [null, 3, 3, 3],
      [1, 1, 3, 4],
    ],
    build: (a, b) => conv2dCentred(a!, b!, 1),
  },
  'convolution 3×3, stride 2': {
    shapes: [
      [null, 6, 7, 3],
      [3, 3, 3, 4],
    ],
    build: (a, b) => conv2dCentred(a!, b!, 2),
  },
  'convolution 1×1, stride 2': {
    shapes: [
      [null, 6, 7, 3],
      [1, 1, 3, 4],
    ],
    build: (a, b) => conv2dCentred(a!, b!, 2),
  },
  'convolution 7×7, stride 2': {
    shapes: [
      [null, 9, 8, 2],
      [7, 7, 2, 3],
    ],
    build: (a, b) => conv2dCentred(a!, b!, 2),
  },
};

const batchNormShapes = [[null, 4, 5, 3], [3], [3]];

const plainBatchNorm: Differentiable = {
  shapes: batchNormShapes,
  build: (x, scale, offset) =>
    cast(
      plainBatchNormTraining(cast(x!, 'float64'), cast(scale!, 'float32'), cast(offset!, 'float32')).result,
      x!.dtype,
    ),
};

const fusedBatchNorm: Differentiable = {
  shapes: batchNormShapes,
  build: (x, scale, offset) =>
    batchNormTraining(cast(x!, 'float32'), cast(scale!, 'float32'), cast(offset!, 'float32')).result,
};

const lossOf: Differentiable = {
  shapes: [[3, 6]],
  build: (logits) => crossEntropy(cast(logits!, 'float32'), constant(logits!.node.graph, 'int32', [5, 0, 3])),
};

/** Of the slope along a direction, in the size that such a slope typically has. */
function slopeErrors(subject: Differentiable, accuracy: { dtype: 'float32' | 'float64'; width: number }) {
  const found = gradientsByRule(subject, accuracy.dtype);
  const typical = norm(found.flatMap((gradient) => [...gradient]));
  return slopes(subject, { ...accuracy, directions: 4 }).map(
    ({ slope, along }) => Math.abs(dot(found, along) - slope) / typical,
  );
}

describe('gradient rules', () => {
  test.each(Object.entries(cases))('%s: as central differences say', (_, subject) => {
    for (const error of slopeErrors(subject, { dtype: 'float64', width: 1e-5 }))
      expect(error).toBeLessThan(1e-6);
  });

  test.each(Object.entries(cases))('%s: the same in float32', (_, subject) => {
    const exact = gradientsByRule(subject, 'float64');
    gradientsByRule(subject, 'float32').forEach((gradient, index) => {
      expect(relativeDistance(gradient, exact[index]!)).toBeLessThan(1e-5);
    });
  });

  // Scale and offset pass through float32 on their way, so the step has to be wide.
  test.each([
    ['plain batch norm', plainBatchNorm],
    ['fused batch norm', fusedBatchNorm],
    ['cross-entropy', lossOf],
  ])('%s: as central differences of float32 say', (_, subject) => {
    for (const error of slopeErrors(subject, { dtype: 'float32', width: 5e-3 }))
      expect(error).toBeLessThan(2e-3);
  });

  test('the fused batch norm agrees with the plain one', () => {
    const exact = gradientsByRule(plainBatchNorm, 'float32');
    gradientsByRule(fusedBatchNorm, 'float32').forEach((gradient, index) => {
      expect(relativeDistance(gradient, exact[index]!)).toBeLessThan(1e-5);
    });
  });
});

describe('what is asked for', () => {
  const network = () => {
    const graph = new Graph();
    const x = placeholder(graph, 'x', 'float32', [null, 6, 6, 2]);
    const filters = [0, 1].map((index) => placeholder(graph, `filter${index}`, 'float32', [3, 3, 2, 2]));
    const hidden = relu(conv2dCentred(x, filters[0]!, 1));
    const loss = sum(conv2dCentred(hidden, filters[1]!, 1));
    const count = (op: string) => graph.nodes.filter((node) => node.op === op).length;
    return { graph, x, filters, loss, count };
  };

  test('a gradient that nobody wants is not computed', () => {
    const { filters, loss, count } = network();
    gradients(loss, [filters[1]!]);
    expect(count('Conv2DBackpropFilter')).toBe(1);
    expect(count('Conv2DBackpropInput')).toBe(0);
  });

  test('all filters need every filter gradient, but none for the images', () => {
    const { filters, loss, count } = network();
    gradients(loss, filters);
    expect(count('Conv2DBackpropFilter')).toBe(2);
    expect(count('Conv2DBackpropInput')).toBe(1);
  });

  test('says which tensor the loss does not depend on', () => {
    const { graph, loss } = network();
    const other = placeholder(graph, 'other', 'float32', [2]);
    expect(() => gradients(loss, [other])).toThrow('the loss does not depend on other');
  });

  test('says which operation has no rule', () => {
    const graph = new Graph();
    const x = placeholder(graph, 'x', 'float32', [4]);
    const loss = sum(arithmetic.exp(x));
    expect(() => gradients(loss, [x])).toThrow(/Exp.* has no gradient rule/);
  });

  test('what is counted or compared passes no gradient on', () => {
    const graph = new Graph();
    const x = placeholder(graph, 'x', 'float32', [2, 3]);
    const indices: Tensor<'int32'> = argMax(x);
    const loss = arithmetic.add(sum(x), sum(cast(indices, 'float32')));
    const [gradient] = gradients(loss, [x]);
    expect(gradient!.shape).toEqual([2, 3]);
    expect(graph.nodes.some((node) => node.name.startsWith('ArgMax/gradient'))).toBe(false);
  });
});
