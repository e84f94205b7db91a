import { expect, test } from 'vitest';
import { layOutReduction } from '../../../worker/model/layout.js';
import { describeNetwork, volume } from '../../../worker/model/parameters.js';
import { joinParts, splitVector } from '../../../worker/model/reduction-graph.js';
import { Graph } from '../../../worker/tensorflow/graph.js';
import { constantArray } from '../../../worker/tensorflow/ops/sources.js';
import { rowLength } from '../../../worker/tensorflow/rows.js';
import { openSession } from '../../../worker/tensorflow/session.js';
import { randomValues } from '../../support/tensorflow/random-values.js';

const layout = layOutReduction(describeNetwork('resnet18', 37), 'all', { weighted: true });

test('tensors are joined at their places, with zeros between', () => {
  const graph = new Graph();
  const filled = (shape: readonly number[], seed: number) =>
    constantArray(graph, randomValues(volume(shape), seed), shape);
  const parts = joinParts(graph, layout, {
    gradients: layout.gradients.map(({ shape }, index) => filled(shape, index)),
    statistics: layout.statistics.map(({ shape }, index) => filled(shape, 100 + index)),
    tail: filled([5], 1000),
  });
  const session = openSession(graph);
  const expected = new Float32Array(layout.length);
  for (const [index, { offset, shape }] of layout.gradients.entries()) {
    expected.set(randomValues(volume(shape), index), offset);
  }
  for (const [index, { offset, shape }] of layout.statistics.entries()) {
    expected.set(randomValues(volume(shape), 100 + index), offset);
  }
  expected.set(randomValues(5, 1000), layout.tail.lossSum);
  for (const [index, { start, end }] of layout.parts.entries()) {
    const { part } = session.run({}, { part: parts[index]! });
    expect(part.length).toBe(end - start);
    expect(Buffer.compare(Buffer.from(part.buffer), Buffer.from(expected.slice(start, end).buffer))).toBe(0);
  }
  session.close();
});

test.each([false, true])('a fed vector is taken apart into what the layout says; at once: %j', (atOnce) => {
  const graph = new Graph();
  const { vector, scaledGradients, statistics, microBatches } = splitVector(graph, layout, atOnce);
  const factors = Float32Array.from(layout.gradients, (_, index) => 1 + (index % 4));
  const gradients = scaledGradients(constantArray(graph, factors, [factors.length]));
  const session = openSession(graph);
  const values = Float32Array.from({ length: layout.length }, (_, index) => index % 65_521);
  const feeds = { [vector.node.name]: values };
  const bias = layout.gradients[0]!;
  expect(volume(bias.shape) % rowLength).not.toBe(0);
  for (const [specs, tensors, index, factor] of [
    [layout.gradients, gradients, 0, 1],
    [layout.gradients, gradients, 7, 4],
    [layout.gradients, gradients, layout.gradients.length - 1, factors.at(-1)!],
    [layout.statistics, statistics, 2, 1],
  ] as const) {
    const { offset, shape } = specs[index]!;
    expect(tensors[index]!.shape).toEqual(shape);
    const { found } = session.run(feeds, { found: tensors[index]! });
    expect(found).toEqual(values.slice(offset, offset + volume(shape)).map((value) => factor * value));
  }
  expect(session.run(feeds, { microBatches }).microBatches[0]).toBe(values[layout.tail.microBatches]);
  session.close();
});
