import { describe, expect, test } from 'vitest';
import { allocateShared } from '../../../runtime/shared-buffer.js';
import { Graph } from '../../../worker/tensorflow/graph.js';
import { type HandOver, handOver, runHandOver } from '../../../worker/tensorflow/hand-over.js';
import { multiply } from '../../../worker/tensorflow/ops/arithmetic.js';
import { constant, placeholder } from '../../../worker/tensorflow/ops/sources.js';
import { openSession, type Session } from '../../../worker/tensorflow/session.js';

const length = 1000;
const fed = Float32Array.from({ length }, (_, index) => index - 500.25);
const doubled = fed.map((value) => 2 * value);

function open(): { session: Session; over: HandOver; reads: () => number } {
  const graph = new Graph();
  const vector = placeholder(graph, 'vector', 'float32', [length]);
  const over = handOver(graph, 'into', multiply(vector, constant(graph, 'float32', 2)));
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

describe('a vector handed over', () => {
  const { session, over, reads } = open();

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
      'the vector has 1000 values, its place 999',
    );
  });

  test('leaves no handle behind', () => {
    const before = session.handles();
    runHandOver(session, over, { vector: fed }, new Float32Array(length));
    expect(session.handles()).toBe(before);
  });
});
