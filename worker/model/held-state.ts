import assert from 'node:assert/strict';
import type { FloatDType } from '../tensorflow/dtype.js';
import type { Graph, Node, Tensor } from '../tensorflow/graph.js';
import { type HandOver, handOver } from '../tensorflow/hand-over.js';
import { zerosLike } from '../tensorflow/ops/arithmetic.js';
import { concat, reshape, split, transpose } from '../tensorflow/ops/arrays.js';
import { bitcast, cast, copy } from '../tensorflow/ops/convert.js';
import { placeholder } from '../tensorflow/ops/placeholder.js';
import { sum } from '../tensorflow/ops/reductions.js';
import { assign, done, read, type Variable, variable } from '../tensorflow/ops/variables.js';
import { rowLength } from '../tensorflow/rows.js';
import {
  type Block,
  fillRows,
  layOutParameters,
  layOutStatistics,
  type ParameterBlock,
  rowsOf,
  splitTensors,
} from './blocks.js';
import type { Weights } from './layers.js';
import { averageName, momentName, type StateLayout, stateTensors } from './layout.js';
import { type NetworkSpec, volume } from './parameters.js';

/** The session's variables. Those of a block have its rows [n, rowLength]. */
export interface HeldState {
  readonly blocks: readonly ParameterBlock[];
  readonly statistics: Block;
  value(block: Block): Variable;
  moment(order: 'first' | 'second', block: ParameterBlock): Variable;
  /** Null where the state keeps no average. */
  average(block: Block): Variable | null;
  readonly updates: Variable;
  readonly amax: Variable;
}

/** Declares the variables that hold the state of `network`, which is laid out as `layout` outside. */
export function declareState(
  graph: Graph,
  { updates, amax, average }: StateLayout,
  network: NetworkSpec,
): HeldState {
  const [blocks, statistics] = [layOutParameters(network), layOutStatistics(network)];
  const declare = (of: string, members: readonly Block[]) => {
    const variables = new Map(
      members.map((block) => {
        const shape = [rowsOf(block.length), rowLength];
        return [block.name, variable(graph, `state/${of}/${block.name}`, 'float32', shape)];
      }),
    );
    return ({ name }: Block): Variable => {
      const found = variables.get(name);
      assert(found !== undefined, `the state has no ${of} of ${name}`);
      return found;
    };
  };
  const evaluated = [...blocks, statistics];
  const moments = { first: declare('first', blocks), second: declare('second', blocks) };
  return {
    blocks,
    statistics,
    value: declare('value', evaluated),
    moment: (order, block) => moments[order](block),
    average: average.length > 0 ? declare('average', evaluated) : () => null,
    updates: variable(graph, 'state/updates', 'float32', updates.shape),
    amax: variable(graph, 'state/amax', 'float32', amax.shape),
  };
}

/**
 * What layers compute with: the variables' values at the time of the run. A block is converted once.
 *
 * @param options.averaged to take averages in the places of what they average, where there are any
 */
export function weightsOf(state: HeldState, { averaged = false } = {}): Weights {
  const evaluated = [...state.blocks, state.statistics];
  const blockOf = new Map(evaluated.flatMap((block) => block.tensors.map(({ name }) => [name, block])));
  const taken = new Map<string, readonly Tensor[]>();
  return <D extends FloatDType>(name: string, dtype: D) => {
    const block = blockOf.get(name);
    assert(block !== undefined, `there is no variable ${name}`);
    const key = `${block.name} ${dtype}`;
    const held = (averaged ? state.average(block) : null) ?? state.value(block);
    const tensors = taken.get(key) ?? splitTensors(cast(read(held), dtype), block);
    taken.set(key, tensors);
    return tensors[block.tensors.findIndex((tensor) => tensor.name === name)] as Tensor<D>;
  };
}

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
    };
  });
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
