import { describe, expect, test } from 'vitest';
import { allocateShared } from '../../../runtime/shared-buffer.js';
import { Graph, type Node, type Tensor } from '../../../worker/tensorflow/graph.js';
import { type HandOver, handOver, runHandOver } from '../../../worker/tensorflow/hand-over.js';
import { multiply } from '../../../worker/tensorflow/ops/arithmetic.js';
import { concat, split } from '../../../worker/tensorflow/ops/arrays.js';
import { placeholder } from '../../../worker/tensorflow/ops/placeholder.js';
import { constant } from '../../../worker/tensorflow/ops/sources.js';
import { openSession, type Session } from '../../../worker/tensorflow/session.js';

type Build = (doubled: Tensor<'float32'>) => Tensor<'float32'>;

const length = 1008;
const fed = Float32Array.from({ length }, (_, index) => index - 500.25);
const doubled = fed.map((value) => 2 * value);

function open(build: Build): { session: Session; over: HandOver; reads: () => number } {
  const graph = new Graph();
  const vector = placeholder(graph, 'vector', 'float32', [length]);
  const over = handOver(graph, 'into', build(multiply(vector, constant(graph, 'float32', 2))));
  const inner = openSession(graph);
  let count = 0;
  const session: Session = {
    ...inner,
    runOne: (feeds, fetch, use) =>
      inner.runOne(feeds, fetch, (read) =>
        use(() => {
          count++;
          return read();
        }),
      ),
  };
  return { session, over, reads: () => count };
}

/** The same vector in pieces, some of which begin within 64 bytes of the one before. */
const joined: Build = (vector) => concat(split(vector, [160, 3, 13, 16, 5, 1, 810], 0), 0);

describe.each<[string, Build]>([
  ['as it is', (vector) => vector],
  ['joined from pieces', joined],
])('a vector handed over, %s,', (_, build) => {
  const { session, over, reads } = open(build);

  test('is written straight into aligned memory', () => {
    const into = new Float32Array(allocateShared(4 * length), 0, length);
    const before = reads();
    for (let run = 0; run < 3; run++) runHandOver(session, over, { vector: fed }, into.fill(7));
    expect([...into]).toEqual([...doubled]);
    expect(reads()).toBe(before);
  });

  test.each([4, 8, 20])('reaches memory that begins %i bytes past a page as well', (offset) => {
    const into = new Float32Array(allocateShared(4 * length + offset), offset, length);
    runHandOver(session, over, { vector: fed }, into);
    expect([...into]).toEqual([...doubled]);
  });

  test('keeps NaN', () => {
    const into = new Float32Array(length);
    runHandOver(session, over, { vector: fed.map(() => Number.NaN) }, into);
    expect(into.every(Number.isNaN)).toBe(true);
  });

  test('needs a place of its length', () => {
    expect(() => runHandOver(session, over, { vector: fed }, new Float32Array(999))).toThrow(
      'the vector has 1008 values, its place 999',
    );
  });

  test('leaves no handle behind', () => {
    const before = session.handles();
    runHandOver(session, over, { vector: fed }, new Float32Array(length));
    expect(session.handles()).toBe(before);
  });
});

test('a vector whose length is not a multiple of 64 bytes is joined first', () => {
  const graph = new Graph();
  const vector = placeholder(graph, 'vector', 'float32', [20]);
  const over = handOver(graph, 'into', concat(split(vector, [16, 4], 0), 0));
  const session = openSession(graph);
  const values = Float32Array.from({ length: 20 }, (_, index) => index);
  const into = new Float32Array(20);
  runHandOver(session, over, { vector: values }, into);
  expect(into).toEqual(values);
  session.close();
});

test('the pieces of a vector are not put together on their way', () => {
  const graph = new Graph();
  const vector = placeholder(graph, 'vector', 'float32', [length]);
  const { written } = handOver(graph, 'into', concat(split(vector, [160, 3, 13, 832], 0), 0));
  const joins: string[] = [];
  const visit = (node: Node): void => {
    if (node.op === 'ConcatV2') joins.push(node.outputs[0]!.shape.join());
    for (const { node: before } of node.inputs) visit(before);
    for (const before of node.controls) visit(before);
  };
  visit(written.node);
  expect(joins).toEqual(['16']);
});
