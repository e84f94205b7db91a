import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { Graph } from '../../../worker/tensorflow/graph.js';
import { add, finite, multiply } from '../../../worker/tensorflow/ops/arithmetic.js';
import { copy } from '../../../worker/tensorflow/ops/convert.js';
import { placeholder } from '../../../worker/tensorflow/ops/placeholder.js';
import { all, argMax, sum } from '../../../worker/tensorflow/ops/reductions.js';
import { constant } from '../../../worker/tensorflow/ops/sources.js';
import { assign, assignAdd, done, read, variable } from '../../../worker/tensorflow/ops/variables.js';
import { withSavedModel } from '../../../worker/tensorflow/saved-model.js';
import { openSession } from '../../../worker/tensorflow/session.js';

function openSums() {
  const graph = new Graph();
  const [a, b] = ['a', 'b'].map((name) => placeholder(graph, name, 'float32', [null]));
  const total = add(a!, b!);
  return { session: openSession(graph), total };
}

describe('runs', () => {
  test('feeds and fetches by name, of every dtype that can leave', () => {
    const graph = new Graph();
    const rows = placeholder(graph, 'rows', 'float32', [null, 3]);
    const fetches = { best: argMax(rows), whole: all(finite(rows)), total: sum(rows) };
    const session = openSession(graph);
    const found = session.run({ rows: Float32Array.of(1, 2, 3, 9, 8, 7) }, fetches);
    expect([...found.best]).toEqual([2, 0]);
    expect([...found.whole]).toEqual([1]);
    expect([...found.total]).toEqual([30]);
    session.close();
  });

  test('variables keep their values from run to run, apart from what was fed', () => {
    const graph = new Graph();
    const value = variable(graph, 'value', 'float32', [2]);
    const fed = placeholder(graph, 'fed', 'float32', [2]);
    const set = done(graph, 'set', [assign(value, copy(fed))]);
    const grown = done(graph, 'grown', [assignAdd(value, constant(graph, 'float32', [1, 10]))]);
    const now = multiply(read(value), constant(graph, 'float32', 1));
    const session = openSession(graph);
    const source = Float32Array.of(5, 6);
    session.run({ fed: source }, { set });
    source.fill(-1);
    session.run({}, { grown });
    expect([...session.run({}, { now }).now]).toEqual([6, 16]);
    expect([...source]).toEqual([-1, -1]);
    session.close();
  });

  test('two sessions of one graph share no variables', () => {
    const graph = new Graph();
    const value = variable(graph, 'value', 'float32', []);
    const set = done(graph, 'set', [assign(value, constant(graph, 'float32', 1))]);
    const now = read(value);
    const [first, second] = [openSession(graph), openSession(graph)];
    first.run({}, { set });
    expect([...first.run({}, { now }).now]).toEqual([1]);
    expect(() => second.run({}, { now })).toThrow(/value/);
    first.close();
    second.close();
  });
});

describe('nothing leaks', () => {
  test('handles return to where they were after good runs and failed ones', () => {
    const { session, total } = openSums();
    const before = session.handles();
    for (let run = 0; run < 20; run++) {
      session.run({ a: Float32Array.of(1, 2), b: Float32Array.of(3, 4) }, { total });
      const misfit = { a: Float32Array.of(1, 2), b: Float32Array.of(3, 4, 5) };
      expect(() => session.run(misfit, { total })).toThrow(/Session fail to run/);
      expect(() => session.run({ a: Float32Array.of(1), nobody: Float32Array.of(1) }, { total })).toThrow();
    }
    expect(session.handles()).toBe(before);
    session.close();
  });

  test('they do when the reader of a result throws', () => {
    const { session, total } = openSums();
    const before = session.handles();
    const feeds = { a: Float32Array.of(1), b: Float32Array.of(2) };
    const read = () =>
      session.runOne(feeds, total, () => {
        throw new Error('no use');
      });
    expect(read).toThrow('no use');
    expect(session.handles()).toBe(before);
    session.close();
  });

  test('the folder that a graph was written to is gone, even if it was of no use', () => {
    const ours = () => readdirSync(tmpdir()).filter((name) => name.startsWith('rondo-graph-'));
    let seen = '';
    const use = (directory: string) => {
      seen = directory;
      throw new Error('cannot load');
    };
    expect(() => withSavedModel(new Graph(), use)).toThrow('cannot load');
    expect(ours().some((name) => seen.endsWith(name))).toBe(false);
  });
});

describe('what a run is given must fit', () => {
  const { session, total } = openSums();
  const one = Float32Array.of(1);
  test.each([
    ['a name that is not there', { a: one, c: one }, 'the graph has no placeholder c'],
    ['another dtype', { a: one, b: Int32Array.of(1) }, 'b wants float32 values in a Float32Array'],
  ])('%s', (_, feeds, message) => {
    expect(() => session.run(feeds as Record<string, Float32Array>, { total })).toThrow(message);
  });

  test('a number of values that fills no shape', () => {
    const graph = new Graph();
    const rows = placeholder(graph, 'rows', 'float32', [null, 3]);
    const sums = openSession(graph);
    expect(() => sums.run({ rows: new Float32Array(4) }, { rows })).toThrow(
      'rows: 4 values do not fill [n, 3]',
    );
    sums.close();
  });

  test('a closed session says so, and closing twice is no error', () => {
    session.close();
    session.close();
    expect(() => session.run({ a: one, b: one }, { total })).toThrow('the session is closed');
  });
});
