import assert from 'node:assert/strict';
import type { FloatDType } from '../tensorflow/dtype.js';
import type { Graph, Tensor } from '../tensorflow/graph.js';
import { cast } from '../tensorflow/ops/convert.js';
import { read, type Variable, variable } from '../tensorflow/ops/variables.js';
import { rowLength } from '../tensorflow/rows.js';
import {
  type Block,
  layOutParameters,
  layOutStatistics,
  type ParameterBlock,
  rowsOf,
  splitTensors,
} from './blocks.js';
import type { Weights } from './layers.js';
import type { StateLayout } from './layout.js';
import type { NetworkSpec } from './parameters.js';

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
