import { buildGradientGraph } from '../../../worker/model/gradient-parts.js';
import { declareState } from '../../../worker/model/held-state.js';
import { layOutState } from '../../../worker/model/layout.js';
import { describeNetwork } from '../../../worker/model/parameters.js';
import type { ImageBatch, Keyed, ProgramOptions, ReductionLayout } from '../../../worker/model/program.js';
import { buildTrainingPass } from '../../../worker/model/program-graph.js';
import { buildStateGraph } from '../../../worker/model/state-graph.js';
import { Graph } from '../../../worker/tensorflow/graph.js';
import { runHandOver } from '../../../worker/tensorflow/hand-over.js';
import { openSession } from '../../../worker/tensorflow/session.js';

/** The gradients of all parameters as a graph that knows no parts computes them, in the vector of `reduction`. */
export function openUnsplitGradients(options: ProgramOptions, reduction: ReductionLayout) {
  const graph = new Graph();
  const network = describeNetwork(options.arch, options.classes, options.head);
  const layout = layOutState(network);
  const held = declareState(graph, layout, network);
  const pass = buildTrainingPass(graph, held, options);
  const inOne = { ...reduction, parts: [{ start: 0, end: reduction.length }] };
  const { whole } = buildGradientGraph(graph, pass, inOne, 'all');
  const state = buildStateGraph(graph, layout, held);
  const session = openSession(graph);
  return {
    load: (values: Float32Array) => void session.run({ [state.flat]: values }, { loaded: state.loaded }),
    gradients({ batch, key, mixup }: Keyed<ImageBatch>): Float32Array {
      const into = new Float32Array(reduction.length);
      runHandOver(session, whole, { ...batch, key: Int32Array.from(key), ...mixup }, into);
      return into;
    },
    close: () => session.close(),
  };
}
