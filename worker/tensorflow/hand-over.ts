import assert from 'node:assert/strict';
import type { Graph, Node, Tensor } from './graph.js';
import { concat, joinedBy, reshape, split } from './ops/arrays.js';
import { bitcast, identity, overwrite } from './ops/convert.js';
import { placeholder } from './ops/placeholder.js';
import { rowLength } from './rows.js';
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
 * A fetch costs a copy into fresh memory, whose page faults take longer than the copy. So the caller's own
 * memory is fed to the graph, which writes over it in place. A vector that joins others is never put together
 * elsewhere: each of them is written to its own place. The bits travel as int32 on the host, as everything
 * that is fed (ops/placeholder.ts).
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
    const pieces = length % rowLength === 0 ? piecesOf(vector) : [vector];
    const shape = pieces.length === 1 ? [1, length] : [length / rowLength, rowLength];
    const target = placeholder(graph, name, 'int32', shape);
    const places = pieces.length === 1 ? [target] : splitInto(target, pieces);
    const overwrites = pieces.map((piece, index) => overwrite(places[index]!, bitcast(piece, 'int32')));
    const written = graph.after([...overwrites.map(({ node }) => node), ...alongside], () =>
      identity(target),
    );
    return { target: target.node.name, length, written };
  });
}

/** Vectors that make up `vector`, each of whole rows. */
function piecesOf(vector: Tensor<'float32'>): Tensor<'float32'>[] {
  const pieces: Tensor<'float32'>[] = [];
  let open: Tensor<'float32'>[] = [];
  for (const each of joinedBy(vector)) {
    open.push(each);
    const length = open.reduce((sum, { shape }) => sum + shape[0]!, 0);
    if (length % rowLength !== 0) continue;
    pieces.push(concat(open, 0));
    open = [];
  }
  return pieces;
}

/** Where each piece belongs in the target's memory: [1, length]. */
function splitInto(target: Tensor<'int32'>, pieces: readonly Tensor[]): Tensor<'int32'>[] {
  const lengths = pieces.map(({ shape }) => shape[0]!);
  const sizes = lengths.map((length) => length / rowLength);
  return split(target, sizes, 0).map((rows, index) => reshape(rows, [1, lengths[index]!]));
}

/** A NaN that no computation gives. */
const unwritten = 0x7fc0dead;

/**
 * Runs the graph so that `into` holds the vector afterwards. Fast when `into` is 64-byte aligned, right
 * anyway.
 */
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
    assert(bits[length - 1] !== unwritten, `${target}: the vector was written elsewhere`);
  });
}
