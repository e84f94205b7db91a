import assert from 'node:assert/strict';
import { largest } from '../../runtime/extremes.js';
import type { DType } from './dtype.js';
import type { Graph, Node, Tensor } from './graph.js';
import { zeros } from './ops/sources.js';
import { assign, read, type Variable, variable } from './ops/variables.js';

/** Tensors that one run of a session leaves for later ones. */
export interface KeptTensors {
  /** `tensor`, which run `madeIn` computes, in run `readIn`; call it where that run's nodes are added. */
  read(tensor: Tensor, runs: { madeIn: number; readIn: number }): Tensor;
  /**
   * What must be run with `run`: it stores what later runs read, and empties what this run reads for the last
   * time.
   */
  assignments(run: number): Node[];
}

interface Place {
  readonly tensor: Tensor;
  readonly madeIn: number;
  readonly variable: Variable<DType>;
  /** By run. */
  readonly reads: Map<number, Tensor>;
}

/** @param name of no other set of kept tensors in the session */
export function keepTensors(graph: Graph, name: string): KeptTensors {
  const places = new Map<Tensor, Place>();

  function placeFor(tensor: Tensor, madeIn: number): Place {
    const { node, index, dtype, shape } = tensor;
    // Any size in the first dimension: without one, nothing is held.
    const variableShape = shape.map((size, axis) => (axis === 0 ? null : size));
    const held = variable(graph, `${name}/${node.name}/${index}`, dtype, variableShape);
    const place = { tensor, madeIn, variable: held, reads: new Map() };
    places.set(tensor, place);
    return place;
  }

  return {
    read(tensor, { madeIn, readIn }) {
      assert(madeIn < readIn, `${tensor.node.name} is computed in run ${madeIn} and read in ${readIn}`);
      const place = places.get(tensor) ?? placeFor(tensor, madeIn);
      // What was kept has the size that the variable leaves open.
      const found = place.reads.get(readIn) ?? read({ ...place.variable, shape: tensor.shape });
      place.reads.set(readIn, found);
      return found;
    },
    assignments(run) {
      return [...places.values()].flatMap(({ tensor, madeIn, variable: held, reads }) => {
        if (run === madeIn) return [assign(held, tensor)];
        if (run !== largest(reads.keys())) return [];
        const empty = held.shape.map((size) => size ?? 0);
        const nothing = zeros(graph, tensor.dtype, empty);
        return [graph.after([reads.get(run)!.node], () => assign(held, nothing))];
      });
    },
  };
}
