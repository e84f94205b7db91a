import assert from 'node:assert/strict';
import type { Graph, Node, Tensor } from './graph.js';
import { bitcast32, overwrite } from './ops/convert.js';
import { placeholder } from './ops/sources.js';
import type { Feeds, Session } from './session.js';

/** A float32 vector of the graph on its way into memory that the caller owns. */
export interface HandOver {
  readonly target: string;
  readonly length: number;
  readonly written: Tensor<'int32'>;
}

/**
 * The vector's way out; its run includes `alongside`.
 *
 * A fetch costs a copy into fresh memory, whose page faults take longer than the copy. So the caller's own memory is fed
 * to the graph, which writes over it in place. The bits travel as int32 on the host, because the binding moves fed
 * floats to the GPU where there is one.
 */
export function handOver(
  graph: Graph,
  name: string,
  vector: Tensor<'float32'>,
  alongside: readonly Node[] = [],
): HandOver {
  const length = vector.shape[0];
  assert(
    vector.shape.length === 1 && typeof length === 'number',
    `${name}: a vector of known length is wanted`,
  );
  return graph.onHost(() => {
    const target = placeholder(graph, name, 'int32', [1, length]);
    const bits = bitcast32(vector, 'int32');
    const written = graph.after(alongside, () => overwrite(target, bits));
    return { target: target.node.name, length, written };
  });
}

/** A NaN that no computation gives. */
const unwritten = 0x7fc0dead;

/** Runs the graph so that `into` holds the vector afterwards. Fast when `into` is 64-byte aligned, right anyway. */
export function runHandOver(
  session: Session,
  { target, length, written }: HandOver,
  feeds: Feeds,
  into: Float32Array,
): void {
  assert.equal(into.length, length, `${target}: the vector has ${length} values, its place ${into.length}`);
  if (length === 0) return;
  const bits = new Int32Array(into.buffer, into.byteOffset, length);
  bits[length - 1] = unwritten;
  session.runOne({ ...feeds, [target]: bits }, written, (read) => {
    // Memory that was not aligned has been copied on its way in, so the result is elsewhere.
    if (bits[length - 1] === unwritten) bits.set(read());
  });
}
