import { describe, expect, test } from 'vitest';
import { Graph, type Tensor } from '../../../worker/tensorflow/graph.js';
import { add, equal } from '../../../worker/tensorflow/ops/arithmetic.js';
import { concat, pad, reshape, slice, split, transpose } from '../../../worker/tensorflow/ops/arrays.js';
import { batchNormTraining } from '../../../worker/tensorflow/ops/batch-norm.js';
import { bitcastPairs, cast } from '../../../worker/tensorflow/ops/convert.js';
import { conv2d, conv2dCentred } from '../../../worker/tensorflow/ops/convolution.js';
import { projectiveTransform } from '../../../worker/tensorflow/ops/images.js';
import { biasAdd, matMul } from '../../../worker/tensorflow/ops/linear.js';
import { crossEntropy } from '../../../worker/tensorflow/ops/losses.js';
import { placeholder } from '../../../worker/tensorflow/ops/placeholder.js';
import { maxPool } from '../../../worker/tensorflow/ops/pooling.js';
import { mean } from '../../../worker/tensorflow/ops/reductions.js';
import { constant, shapeOf } from '../../../worker/tensorflow/ops/sources.js';
import { assign, variable } from '../../../worker/tensorflow/ops/variables.js';
import type { Shape } from '../../../worker/tensorflow/shape.js';

const floats = (graph: Graph, ...shape: Shape) => placeholder(graph, 'x', 'float32', shape);
const integers = (graph: Graph, ...shape: Shape) => placeholder(graph, 'i', 'int32', shape);

describe('names', () => {
  test('are unique and carry their scopes', () => {
    const graph = new Graph();
    const names = graph.scope('layer1', () =>
      [floats(graph, 1), floats(graph, 1)].map(({ node }) => node.name),
    );
    expect([...names, floats(graph, 1).node.name]).toEqual(['layer1/x', 'layer1/x_1', 'x']);
  });

  test('a name that looks like a repetition is not taken twice', () => {
    const graph = new Graph();
    const names = ['a_1', 'a', 'a'].map((name) => placeholder(graph, name, 'int32', []).node.name);
    expect(new Set(names).size).toBe(3);
  });
});

describe('order and place', () => {
  test('nodes added after others wait for them', () => {
    const graph = new Graph();
    const first = floats(graph, 1).node;
    const second = graph.after([first], () => constant(graph, 'float32', 1)).node;
    expect(second.controls).toEqual([first]);
    expect(constant(graph, 'float32', 1).node.controls).toEqual([]);
  });

  test('a constant is shared by all that need it in the same place, and by nobody who must wait', () => {
    const graph = new Graph();
    const one = constant(graph, 'float32', 1);
    expect(constant(graph, 'float32', 1)).toBe(one);
    const others = [
      constant(graph, 'float32', 2),
      constant(graph, 'float32', [1]),
      constant(graph, 'int32', 1),
      graph.onHost(() => constant(graph, 'float32', 1)),
      graph.after([one.node], () => constant(graph, 'float32', 1)),
    ];
    expect(new Set([one, ...others]).size).toBe(6);
  });

  test('what is reshaped again, or to the shape that it has, is reshaped once', () => {
    const graph = new Graph();
    const x = floats(graph, null, 6);
    expect(reshape(x, [null, 6])).toBe(x);
    const twice = reshape(reshape(x, [null, 2, 3]), [null, 3]);
    expect(twice.shape).toEqual([null, 3]);
    expect(twice.node.inputs[0]).toBe(x);
  });

  test('nodes of the host say so', () => {
    const graph = new Graph();
    expect(graph.onHost(() => floats(graph, 1)).node.device).toBe('/device:CPU:0');
    expect(floats(graph, 1).node.device).toBe('');
  });

  test('a tensor of another graph is refused', () => {
    const mine = floats(new Graph(), 2);
    const theirs = floats(new Graph(), 2);
    expect(() => add(mine, theirs)).toThrow('belongs to another graph');
  });
});

describe('shapes that operations give', () => {
  const shapes: [string, Shape, (graph: Graph) => Tensor][] = [
    ['broadcasting', [null, 5, 4], (g) => add(floats(g, null, 1, 4), floats(g, 5, 1))],
    ['reshape infers what is left', [6, 4], (g) => reshape(floats(g, 2, 3, 4), [null, 4])],
    ['reshape of an unknown batch', [null, 12], (g) => reshape(floats(g, null, 3, 4), [null, 12])],
    ['transpose', [4, null, 3], (g) => transpose(floats(g, null, 3, 4), [2, 0, 1])],
    ['concat', [null, 7], (g) => concat([floats(g, null, 3), floats(g, 2, 4)], 1)],
    ['concat of unknown sizes', [null, 3], (g) => concat([floats(g, null, 3), floats(g, 2, 3)], 0)],
    ['split', [4, 2], (g) => split(floats(g, 4, 5), [3, 2], 1)[1]!],
    ['slice to the end', [null, 3], (g) => slice(floats(g, null, 5), [0, 2], [null, null])],
    [
      'pad',
      [null, 8],
      (g) =>
        pad(floats(g, null, 5), [
          [0, 0],
          [1, 2],
        ]),
    ],
    ['matMul', [null, 6], (g) => matMul(floats(g, null, 5), floats(g, 6, 5), { b: true })],
    [
      'convolution, stride 1',
      [null, 7, 9, 8],
      (g) => conv2dCentred(floats(g, null, 7, 9, 3), floats(g, 3, 3, 3, 8), 1),
    ],
    [
      'convolution, stride 2',
      [null, 4, 5, 8],
      (g) => conv2dCentred(floats(g, null, 7, 9, 3), floats(g, 3, 3, 3, 8), 2),
    ],
    [
      'ResNet stem',
      [null, 112, 112, 64],
      (g) => conv2dCentred(floats(g, null, 224, 224, 3), floats(g, 7, 7, 3, 64), 2),
    ],
    [
      'max pool',
      [null, 3, 2, 4],
      (g) => maxPool(floats(g, null, 7, 6, 4), { window: [3, 3], stride: 2, padding: 'VALID' }),
    ],
    ['mean, kept', [null, 1, 1, 4], (g) => mean(floats(g, null, 7, 6, 4), [1, 2], true)],
    ['mean, gone', [null, 4], (g) => mean(floats(g, null, 7, 6, 4), [1, 2])],
    ['cross-entropy', [null], (g) => crossEntropy(floats(g, null, 10), integers(g, null))],
    [
      'projective transform',
      [null, 8, 8, 3],
      (g) => projectiveTransform(floats(g, null, 9, 7, 3), floats(g, null, 8), 8),
    ],
    ['shape', [3], (g) => shapeOf(floats(g, null, 2, 2))],
    ['pairs', [5], (g) => bitcastPairs(integers(g, 5, 2))],
  ];
  test.each(shapes)('%s', (_, expected, build) => {
    expect(build(new Graph()).shape).toEqual(expected);
  });
});

describe('what does not fit is refused, with the operation and the shapes', () => {
  const wrong: [string, RegExp, (graph: Graph) => unknown][] = [
    [
      'broadcast',
      /AddV2: shapes do not broadcast .*\[2, 3\].*\[2, 4\]/,
      (g) => add(floats(g, 2, 3), floats(g, 2, 4)),
    ],
    [
      'dtypes',
      /AddV2: wants operands of one dtype.*float32.*int32/,
      (g) => add<'float32'>(floats(g, 2), integers(g, 2) as Tensor as Tensor<'float32'>),
    ],
    [
      'compared dtypes',
      /Equal: wants operands of one dtype/,
      (g) => equal<'int32' | 'float32'>(floats(g, 2), integers(g, 2)),
    ],
    ['reshape', /Reshape: 6 elements do not fit shape \[4, n\]/, (g) => reshape(floats(g, 2, 3), [4, null])],
    ['transpose', /Transpose: \[0, 0\] is not a permutation/, (g) => transpose(floats(g, 2, 3), [0, 0])],
    [
      'concat',
      /ConcatV2: parts must agree .*\[2, 3\].*\[3, 3\]/,
      (g) => concat([floats(g, 2, 3), floats(g, 3, 3)], 1),
    ],
    ['split', /SplitV: pieces of 4 in all do not fill dimension 0/, (g) => split(floats(g, 5), [2, 2], 0)],
    ['slice', /Slice: dimension 0 from 2, 4 long, lies outside/, (g) => slice(floats(g, 5), [2], [4])],
    [
      'inner dimensions',
      /MatMul: inner dimensions 5 and 6 differ/,
      (g) => matMul(floats(g, 2, 5), floats(g, 6, 3)),
    ],
    ['bias', /BiasAdd: the bias must match/, (g) => biasAdd(floats(g, 2, 5), floats(g, 4))],
    [
      'channels',
      /Conv2D: input and filter must have the same channels .*\[n, 8, 8, 3\].*\[3, 3, 4, 8\]/,
      (g) => conv2dCentred(floats(g, null, 8, 8, 3), floats(g, 3, 3, 4, 8), 1),
    ],
    [
      'filter too large',
      /Conv2D: the filter is larger/,
      (g) => conv2d(floats(g, 1, 2, 2, 3), floats(g, 3, 3, 3, 8), { stride: 1, padding: 'VALID' }),
    ],
    [
      'rank',
      /Conv2D: wants 4 dimensions, not 3/,
      (g) => conv2d(floats(g, 8, 8, 3), floats(g, 3, 3, 3, 8), { stride: 1, padding: 'SAME' }),
    ],
    [
      'batch norm',
      /FusedBatchNormV3: wants shape \[4\], not \[3\]/,
      (g) => batchNormTraining(floats(g, null, 2, 2, 4), floats(g, 3), floats(g, 4)),
    ],
    [
      'batch norm dtype',
      /FusedBatchNormV3: wants float32 or bfloat16, not float64/,
      (g) => batchNormTraining(cast(floats(g, null, 2, 2, 4), 'float64'), floats(g, 4), floats(g, 4)),
    ],
    ['labels', /one label is wanted for each row/, (g) => crossEntropy(floats(g, 3, 10), integers(g, 2))],
    ['axis', /Mean: no dimension 2/, (g) => mean(floats(g, 2, 2), [2])],
    [
      'constant',
      /Const: 3 values do not fill shape \[2, 2\]/,
      (g) => constant(g, 'float32', [1, 2, 3], [2, 2]),
    ],
    ['placeholder', /2 unknown dimensions/, (g) => floats(g, null, null)],
    [
      'transforms',
      /one transform is wanted for each image/,
      (g) => projectiveTransform(floats(g, 2, 9, 9, 3), floats(g, 3, 8), 8),
    ],
    [
      'variable',
      /AssignVariableOp: wants shape \[2, 2\], not \[4\]/,
      (g) => assign(variable(g, 'v', 'float32', [2, 2]), floats(g, 4)),
    ],
  ];
  test.each(wrong)('%s', (_, message, build) => {
    expect(() => build(new Graph())).toThrow(message);
  });

  test('the place in the graph is part of the message', () => {
    const graph = new Graph();
    const build = () => graph.scope('layer1.0.conv1', () => add(floats(graph, 2), floats(graph, 3)));
    expect(build).toThrow(/^AddV2 in layer1.0.conv1: /);
    expect(graph.locate('Relu')).toBe('Relu');
  });
});
