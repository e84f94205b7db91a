import assert from 'node:assert/strict';
import type { Graph, Node, Tensor } from '../tensorflow/graph.js';
import { type HandOver, handOver } from '../tensorflow/hand-over.js';
import { zerosLike } from '../tensorflow/ops/arithmetic.js';
import { concat, reshape, slice, split, transpose } from '../tensorflow/ops/arrays.js';
import { bitcast, copy } from '../tensorflow/ops/convert.js';
import { placeholder } from '../tensorflow/ops/placeholder.js';
import { sum } from '../tensorflow/ops/reductions.js';
import { assign, done, read, type Variable } from '../tensorflow/ops/variables.js';
import { rowLength } from '../tensorflow/rows.js';
import { type Block, fillRows, place, rowsOf, splitTensors } from './blocks.js';
import type { HeldState } from './held-state.js';
import { averageName, type HeldLayout, momentName, type StateLayout, stateTensors } from './layout.js';
import { volume } from './parameters.js';

const toHeld = [2, 3, 1, 0];
const toPyTorch = [3, 2, 0, 1];

function hold(flat: Tensor<'float32'>, shape: readonly number[]): Tensor<'float32'> {
  return shape.length === 4 ? transpose(reshape(flat, shape), toHeld) : flat;
}

function release(held: Tensor<'float32'>): Tensor<'float32'> {
  return reshape(held.shape.length === 4 ? transpose(held, toPyTorch) : held, [null]);
}

export interface StateGraph {
  /** Name of the placeholder that takes the flat state. */
  readonly flat: string;
  readonly loaded: Tensor<'int32'>;
  readonly save: HandOver;
  readonly momentsReset: Tensor<'int32'>;
  /** Sums of the bits of each variable's columns, which wrap around; by variable. */
  readonly checksums: Tensor<'int32'>;
  readonly copy: HeldCopyGraph;
}

interface HeldCopyGraph {
  readonly layout: HeldLayout;
  /** Name of the placeholder that takes the rows. */
  readonly rows: string;
  readonly loaded: Tensor<'int32'>;
  readonly save: HandOver;
}

/**
 * Entry points that move the whole state in and out, that set the moments, and what counts their updates, to
 * zero, and that tell one state from another.
 */
export function buildStateGraph(graph: Graph, layout: StateLayout, state: HeldState): StateGraph {
  const tensors = stateTensors(layout);
  return graph.scope('state', () => {
    const flat = placeholder(graph, 'flat', 'float32', [layout.length]);
    const sizes = tensors.map(({ shape }) => volume(shape));
    const pieces = split(flat, sizes, 0);
    const loaded = new Map(tensors.map(({ name, shape }, index) => [name, hold(pieces[index]!, shape)]));
    const moments = [state.updates, state.amax];
    const [loads, saved] = [[] as Node[], new Map<string, Tensor<'float32'>>()];
    const sums: Tensor<'int32'>[] = [];

    for (const { block, held, nameOf } of heldBlocks(state)) {
      const given = block.tensors.map(({ name }) => loaded.get(nameOf(name))!);
      loads.push(assign(held, joinTensors(given, block)));
      const found = splitTensors(read(held), block);
      // What fills rows up is no part of the state: a decay of more than 1 turns its zeros into −0.
      const isFilled = block.tensors.some(({ shape }) => volume(shape) % rowLength !== 0);
      const rows = isFilled ? joinTensors(found, block) : read(held);
      sums.push(sum(bitcast(rows, 'int32'), [0]));
      for (const [index, { name }] of block.tensors.entries())
        saved.set(nameOf(name), release(found[index]!));
    }
    for (const [{ name }, held] of [
      [layout.updates, state.updates],
      [layout.amax, state.amax],
    ] as const) {
      loads.push(assign(held, copy(loaded.get(name)!)));
      saved.set(name, read(held));
      sums.push(bitcast(read(held), 'int32'));
    }
    for (const block of state.blocks)
      moments.push(state.moment('first', block), state.moment('second', block));
    return {
      flat: flat.node.name,
      loaded: done(graph, 'loaded', loads),
      save: handOver(
        graph,
        'saved',
        concat(
          tensors.map(({ name }) => saved.get(name)!),
          0,
        ),
      ),
      momentsReset: done(
        graph,
        'moments-reset',
        moments.map((moment) => assign(moment, zerosLike(read(moment)))),
      ),
      checksums: concat(sums, 0),
      copy: buildHeldCopy(graph, layout, state),
    };
  });
}

/**
 * Moves the variables as they are, for another program of the same options: one pass over memory, where the flat
 * state takes several to take tensors apart, transpose and join them.
 */
function buildHeldCopy(graph: Graph, layout: StateLayout, state: HeldState): HeldCopyGraph {
  const variables = heldBlocks(state).map(({ held, block }) => ({ held, rows: rowsOf(block.length) }));
  const followed = [
    { ...layout.updates, held: state.updates },
    { ...layout.amax, held: state.amax },
  ];
  const values = followed.map(({ held }) => read(held));
  const last = fillRows(concat(values, 0));
  const vector = concat([...variables.map(({ held }) => reshape(read(held), [null])), concat(last, 0)], 0);
  const first = rowLength * variables.reduce((total, { rows }) => total + rows, 0);
  const length = vector.shape[0]!;
  const rows = placeholder(graph, 'rows', 'float32', [length / rowLength, rowLength]);
  const sizes = [...variables.map((each) => each.rows), (length - first) / rowLength];
  const pieces = split(rows, sizes, 0);
  const loads = variables.map(({ held }, index) => assign(held, copy(pieces[index]!)));
  const rest = reshape(pieces.at(-1)!, [null]);
  const places = place(followed, 0).placed;
  for (const { held, shape, offset } of places) loads.push(assign(held, copy(slice(rest, [offset], shape))));
  const [updates, amax] = places.map(({ offset }) => first + offset);
  return {
    layout: { length, updates: updates!, amax: amax! },
    rows: rows.node.name,
    loaded: done(graph, 'rows-loaded', loads),
    save: handOver(graph, 'rows-saved', vector),
  };
}

/** The rows [n, rowLength] of a block's tensors: a copy, so that no variable keeps the memory that was fed. */
function joinTensors(tensors: readonly Tensor<'float32'>[], { name }: Block): Tensor<'float32'> {
  const values = tensors.flatMap(fillRows);
  assert(values.length > 1, `${name} has one tensor only`);
  return reshape(concat(values, 0), [null, rowLength]);
}

/** Every variable of a block, and what its tensors are called in the flat state. */
function heldBlocks(state: HeldState) {
  const same = (name: string) => name;
  const of = (block: Block, held: Variable, nameOf: (name: string) => string) => ({ block, held, nameOf });
  const evaluated = [...state.blocks, state.statistics];
  return [
    ...evaluated.map((block) => of(block, state.value(block), same)),
    ...(['first', 'second'] as const).flatMap((order) =>
      state.blocks.map((block) => of(block, state.moment(order, block), (name) => momentName(order, name))),
    ),
    ...evaluated.flatMap((block) => {
      const average = state.average(block);
      return average === null ? [] : [of(block, average, averageName)];
    }),
  ];
}
