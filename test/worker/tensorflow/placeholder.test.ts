import { describe, expect, it } from 'vitest';
import { Graph } from '../../../worker/tensorflow/graph.js';
import { cast, identity } from '../../../worker/tensorflow/ops/convert.js';
import { placeholder } from '../../../worker/tensorflow/ops/placeholder.js';
import { openSession } from '../../../worker/tensorflow/session.js';

function openEcho() {
  const graph = new Graph();
  const floats = placeholder(graph, 'floats', 'float32', [null, 3]);
  const numbers = placeholder(graph, 'numbers', 'int32', [2]);
  const bytes = graph.scope('input', () => placeholder(graph, 'bytes', 'uint8', [null, 2, 2, 3]));
  const fetches = { floats: identity(floats), numbers: identity(numbers), bytes: cast(bytes, 'int32') };
  return { graph, session: openSession(graph), fetches };
}

describe('placeholder', () => {
  it('takes values of every type, as int32 on their way', () => {
    const { graph, session, fetches } = openEcho();
    const taken = graph.nodes
      .filter(({ op }) => op === 'Placeholder')
      .map(({ outputs }) => outputs[0]!.dtype);
    expect(taken).toEqual(['int32', 'int32', 'int32']);
    expect([...graph.given.keys()]).toEqual(['floats', 'numbers', 'input/bytes']);
    const floats = Float32Array.of(1.5, -0, Number.NaN, Number.POSITIVE_INFINITY, 1e-45, -3e38);
    const bytes = Uint8Array.from({ length: 24 }, (_, i) => 255 - 7 * i);
    const feeds = { floats, numbers: Int32Array.of(-7, 2 ** 31 - 1), 'input/bytes': bytes };
    const found = session.run(feeds, fetches);
    expect(new Int32Array(found.floats.buffer, found.floats.byteOffset, 6)).toEqual(
      new Int32Array(floats.buffer),
    );
    expect([...found.numbers]).toEqual([-7, 2 ** 31 - 1]);
    expect([...found.bytes]).toEqual([...bytes]);
    session.close();
  });

  it('takes bytes from any place in memory', () => {
    const { session, fetches } = openEcho();
    const bytes = Uint8Array.from({ length: 15 }, (_, i) => i + 1).subarray(3);
    const { bytes: found } = session.run({ 'input/bytes': bytes }, { bytes: fetches.bytes });
    expect([...found]).toEqual([...bytes]);
    session.close();
  });

  it('refuses other arrays, numbers of values, and names', () => {
    const { session, fetches } = openEcho();
    const run = (feeds: Record<string, Float32Array | Int32Array | Uint8Array>) => () =>
      session.run(feeds, fetches);
    expect(run({ floats: Int32Array.of(1, 2, 3) })).toThrow('floats wants float32 values in a Float32Array');
    expect(run({ numbers: Float32Array.of(1, 2) })).toThrow('numbers wants int32 values in a Int32Array');
    expect(run({ floats: Float32Array.of(1, 2) })).toThrow('2 values do not fill');
    expect(run({ 'floats/words': Int32Array.of(1, 2, 3) })).toThrow(
      'the graph has no placeholder floats/words',
    );
    session.close();
  });

  it('takes bytes that do not come in words as they are', () => {
    const graph = new Graph();
    const odd = placeholder(graph, 'odd', 'uint8', [null, 3, 3]);
    const found = cast(odd, 'int32');
    const session = openSession(graph);
    const bytes = Uint8Array.from({ length: 18 }, (_, i) => 200 + i);
    expect([...session.run({ odd: bytes }, { found }).found]).toEqual([...bytes]);
    session.close();
  });
});
