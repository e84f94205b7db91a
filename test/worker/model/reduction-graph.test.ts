import { expect, test } from 'vitest';
import { layOutParameters } from '../../../worker/model/blocks.js';
import { layOutReduction } from '../../../worker/model/layout.js';
import { describeNetwork, volume } from '../../../worker/model/parameters.js';
import { joinParts, splitVector } from '../../../worker/model/reduction-graph.js';
import { Graph } from '../../../worker/tensorflow/graph.js';
import { constantArray } from '../../../worker/tensorflow/ops/sources.js';
import { openSession } from '../../../worker/tensorflow/session.js';
import { randomValues } from '../../support/tensorflow/random-values.js';
import { sameBits } from '../../support/tensorflow/same-bits.js';

const network = describeNetwork('resnet18', 37);
const layout = layOutReduction(network, 'all', { weighted: true });

test('tensors are joined at their places, with zeros between', () => {
  const graph = new Graph();
  const filled = (shape: readonly number[], seed: number) =>
    constantArray(graph, randomValues(volume(shape), seed), shape);
  const parts = joinParts(layout, {
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

test.each([true, false])('a fed vector is taken apart into rows of blocks, and multiplied: %j', (scaling) => {
  const graph = new Graph();
  const blocks = layOutParameters(network);
  const {
    vector,
    factors: given,
    blocks: found,
    statistics,
    microBatches,
  } = splitVector(graph, layout, blocks, scaling);
  const factors = Float32Array.from(layout.gradients, (_, index) => (scaling ? 1 + (index % 4) : 1));
  const session = openSession(graph);
  const values = Float32Array.from({ length: layout.length }, (_, index) => index % 65_521);
  const feeds = { [vector.node.name]: values, ...(given === null ? {} : { [given.node.name]: factors }) };
  expect(given !== null).toBe(scaling);
  const ends = [...layout.gradients.slice(1).map(({ offset }) => offset), layout.gradientLength];
  const expected = values.slice(0, layout.gradientLength);
  for (const [index, { offset }] of layout.gradients.entries()) {
    for (let at = offset; at < ends[index]!; at += 1) expected[at]! *= factors[index]!;
  }
  let offset = 0;
  for (const [index, { length }] of blocks.entries()) {
    const { rows } = session.run(feeds, { rows: found[index]! });
    expect(sameBits(rows, expected.subarray(offset, offset + length))).toBe(true);
    offset += length;
  }
  expect(offset).toBe(layout.gradientLength);
  const told = { [vector.node.name]: values };
  const { rows } = session.run(told, { rows: statistics });
  expect(rows).toEqual(values.slice(layout.gradientLength, layout.tail.lossSum));
  expect(session.run(told, { microBatches }).microBatches[0]).toBe(values[layout.tail.microBatches]);
  session.close();
});
