import assert from 'node:assert/strict';
import type { Graph, Node, Tensor } from '../tensorflow/graph.js';
import { type HandOver, handOver } from '../tensorflow/hand-over.js';
import { zerosLike } from '../tensorflow/ops/arithmetic.js';
import { concat, reshape, split, transpose } from '../tensorflow/ops/arrays.js';
import { copy } from '../tensorflow/ops/convert.js';
import { placeholder } from '../tensorflow/ops/placeholder.js';
import { assign, done, read, type Variable, variable } from '../tensorflow/ops/variables.js';
import type { Weights } from './layers.js';
import { averageName, heldShape, type StateLayout, stateTensors } from './layout.js';
import { volume } from './parameters.js';

/** The session's variables by the names of the state layout. */
export interface HeldState {
  variable(name: string): Variable;
}

/** Declares a variable for each tensor of the state, in the shape in which TensorFlow computes with it. */
export function declareState(graph: Graph, layout: StateLayout): HeldState {
  const variables = new Map(
    stateTensors(layout).map(({ name, shape }) => [
      name,
      variable(graph, `state/${name}`, 'float32', heldShape(shape)),
    ]),
  );
  return {
    variable(name) {
      const found = variables.get(name);
      assert(found !== undefined, `there is no variable ${name}`);
      return found;
    },
  };
}

/** What layers compute with: the variables' values at the time of the run. */
export function weightsOf(state: HeldState): Weights {
  return (name) => read(state.variable(name));
}

/**
 * The state as evaluation sees it: averages stand in the places of what they average, where there are any.
 */
export function throughAverages(state: HeldState, layout: StateLayout): HeldState {
  const averages = new Set(layout.average.map(({ name }) => name));
  return {
    variable: (name) => state.variable(averages.has(averageName(name)) ? averageName(name) : name),
  };
}

const toHeld = [2, 3, 1, 0];
const toPyTorch = [3, 2, 0, 1];

/** The copies keep the variables apart from the memory that was fed. */
function hold(flat: Tensor<'float32'>, shape: readonly number[]): Tensor<'float32'> {
  const shaped = reshape(flat, shape);
  return shape.length === 4 ? transpose(shaped, toHeld) : copy(shaped);
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
}

/**
 * Entry points that move the whole state in and out, and that set the moments, and what counts their updates,
 * to zero.
 */
export function buildStateGraph(graph: Graph, layout: StateLayout, state: HeldState): StateGraph {
  const tensors = stateTensors(layout);
  return graph.scope('state', () => {
    const flat = placeholder(graph, 'flat', 'float32', [layout.length]);
    const sizes = tensors.map(({ shape }) => volume(shape));
    const loads: Node[] = split(flat, sizes, 0).map((piece, index) => {
      const { name, shape } = tensors[index]!;
      return assign(state.variable(name), hold(piece, shape));
    });
    const saved = tensors.map(({ name }) => release(read(state.variable(name))));
    const resets = [...layout.first, ...layout.second, layout.updates, layout.amax].map(({ name }) => {
      const moment = state.variable(name);
      return assign(moment, zerosLike(read(moment)));
    });
    return {
      flat: flat.node.name,
      loaded: done(graph, 'loaded', loads),
      save: handOver(graph, 'saved', concat(saved, 0)),
      momentsReset: done(graph, 'moments-reset', resets),
    };
  });
}
