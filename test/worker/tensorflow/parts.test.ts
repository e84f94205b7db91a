import { expect, test } from 'vitest';
import { Graph, type Node, output, type Tensor } from '../../../worker/tensorflow/graph.js';
import { add, divide, exp, multiply } from '../../../worker/tensorflow/ops/arithmetic.js';
import { reshape } from '../../../worker/tensorflow/ops/arrays.js';
import { cast, identity } from '../../../worker/tensorflow/ops/convert.js';
import { conv2d, conv2dFilterGradient } from '../../../worker/tensorflow/ops/convolution.js';
import { placeholder } from '../../../worker/tensorflow/ops/placeholder.js';
import { maxPool } from '../../../worker/tensorflow/ops/pooling.js';
import { sum } from '../../../worker/tensorflow/ops/reductions.js';
import { constant, sizeOf } from '../../../worker/tensorflow/ops/sources.js';
import { assign, done, read, variable } from '../../../worker/tensorflow/ops/variables.js';
import { cutIntoParts, type GraphPart } from '../../../worker/tensorflow/parts.js';
import { openSession } from '../../../worker/tensorflow/session.js';

/** Everything that a run of `goal` runs. */
function nodesOf(goal: Node, found = new Set<Node>()): Set<Node> {
  if (found.has(goal)) return found;
  found.add(goal);
  for (const { node } of goal.inputs) nodesOf(node, found);
  for (const node of goal.controls) nodesOf(node, found);
  return found;
}

function countOf(goal: Tensor, op: string): number {
  return [...nodesOf(goal.node)].filter((node) => node.op === op).length;
}

const runOf = (graph: Graph, { tensor, alongside }: GraphPart<'float32'>) =>
  graph.after(alongside, () => identity(tensor));

/** e^x by run 0, its sum with y by run 1, the product of both by run 2. */
function build() {
  const graph = new Graph();
  const x = placeholder(graph, 'x', 'float32', [null, 2]);
  const y = placeholder(graph, 'y', 'float32', [2]);
  const weight = variable(graph, 'weight', 'float32', [2]);
  const set = done(graph, 'set', [assign(weight, constant(graph, 'float32', [3, 5]))]);
  const power = exp(x);
  const shifted = add(power, y);
  const product = multiply(multiply(power, shifted), read(weight));
  const parts = cutIntoParts(graph, 'sum', [power, shifted, product]);
  return { graph, set, parts, whole: product };
}

test('parts compute together what one run does', () => {
  const { graph, set, parts, whole } = build();
  const [first, second, third] = parts.map((part) => runOf(graph, part));
  const session = openSession(graph);
  session.run({}, { set });
  for (const x of [
    [1, 2],
    [3, 4, 5, 6],
  ]) {
    const feeds = { x: Float32Array.from(x), y: Float32Array.of(10, 20) };
    expect(session.run({ x: feeds.x }, { first: first! }).first).toEqual(
      Float32Array.from(x, (value) => Math.fround(Math.exp(value))),
    );
    session.run({ y: feeds.y }, { second: second! });
    expect(session.run({}, { third: third! }).third).toEqual(session.run(feeds, { whole }).whole);
  }
  session.close();
});

test('a part names what it must be fed, and computes nothing that an earlier one has', () => {
  const { graph, parts } = build();
  expect(parts.map(({ feeds }) => [...feeds])).toEqual([['x'], ['y'], []]);
  const runs = parts.map((part) => runOf(graph, part));
  expect(runs.map((run) => countOf(run, 'Exp'))).toEqual([1, 0, 0]);
  expect(runs.map((run) => countOf(run, 'AddV2'))).toEqual([0, 1, 0]);
});

test('nothing is held after the part that reads it last', () => {
  const { graph, set, parts } = build();
  const held = graph.nodes.filter(({ op, name }) => op === 'VarHandleOp' && name !== 'weight');
  const sizes = held.map((node) =>
    sizeOf(read({ handle: output(node), dtype: 'float32', shape: [null, 2] })),
  );
  const [first, second, third] = parts.map((part) => runOf(graph, part));
  const session = openSession(graph);
  session.run({}, { set });
  expect(held.map(({ name }) => name)).toEqual(['sum/1/sum/Exp/0', 'sum/2/sum/sum/1/AddV2/0']);
  const sizesNow = (count: number) => sizes.slice(0, count).map((size) => session.run({}, { size }).size[0]);
  session.run({ x: Float32Array.of(1, 2, 3, 4) }, { first: first! });
  expect(sizesNow(1)).toEqual([4]);
  session.run({ y: Float32Array.of(1, 2) }, { second: second! });
  expect(sizesNow(2)).toEqual([4, 4]);
  session.run({}, { third: third! });
  expect(sizesNow(2)).toEqual([0, 0]);
  session.close();
});

test('a maximum is pooled again beside what needs it', () => {
  const graph = new Graph();
  const images = exp(placeholder(graph, 'x', 'float32', [null, 4, 4, 1]));
  const pooled = maxPool(images, { window: [2, 2], stride: 2, padding: 'VALID' });
  const wanted = [sum(pooled, [0, 1, 2, 3]), sum(multiply(pooled, pooled), [0, 1, 2, 3])];
  const runs = cutIntoParts(graph, 'pools', wanted).map((part) => runOf(graph, part));
  expect(runs.map((run) => countOf(run, 'MaxPool'))).toEqual([1, 1]);
  expect(runs.map((run) => countOf(run, 'Exp'))).toEqual([1, 0]);
  const session = openSession(graph);
  const x = Float32Array.from({ length: 16 }, (_, index) => index / 10);
  const [, second] = [session.run({ x }, { y: runs[0]! }), session.run({}, { y: runs[1]! })];
  const largest = [5, 7, 13, 15].map((place) => Math.exp(place / 10));
  expect(second.y[0]).toBeCloseTo(
    largest.reduce((total, value) => total + value * value, 0),
    4,
  );
  session.close();
});

test.each(['bfloat16', 'float32'] as const)(
  'a backward pass of %s has the layout of its forward pass',
  (dtype) => {
    const graph = new Graph();
    const given = placeholder(graph, 'x', 'float32', [null, 4, 4, 2]);
    const x = cast(add(given, constant(graph, 'float32', 1)), dtype);
    const filter = cast(constant(graph, 'float32', new Array<number>(8).fill(0.5), [1, 1, 2, 4]), dtype);
    const result = conv2d(x, filter, { stride: 1, padding: 'VALID' });
    const ones = divide(result, result);
    const back = conv2dFilterGradient(x, filter, ones, { stride: 1, padding: 'VALID' });
    const wanted = [sum(cast(result, 'float32')), cast(reshape(back, [8]), 'float32')];
    const parts = cutIntoParts(graph, 'layout', wanted);
    const [forward, backward] = parts.map((part) => runOf(graph, part));
    // A run of bfloat16 must have a forward convolution, or TensorFlow changes the layout of the others on a GPU.
    expect(countOf(forward!, 'Conv2D')).toBe(1);
    expect(countOf(backward!, 'Conv2D')).toBe(dtype === 'bfloat16' ? 1 : 0);
    const session = openSession(graph);
    session.run({ x: new Float32Array(32).fill(1) }, { forward: forward! });
    expect(session.run({}, { backward: backward! }).backward).toEqual(new Float32Array(8).fill(32));
    session.close();
  },
);

test('a node that waits for others fits into no part', () => {
  const graph = new Graph();
  const x = placeholder(graph, 'x', 'float32', [2]);
  const late = graph.after([exp(x).node], () => multiply(x, x));
  expect(() => cutIntoParts(graph, 'late', [late])).toThrow('Mul waits for other nodes');
});
