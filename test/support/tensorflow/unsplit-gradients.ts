import { buildGradientGraph } from '../../../worker/model/gradient-parts.js';
import { buildStateGraph, declareState } from '../../../worker/model/held-state.js';
import { layOutState } from '../../../worker/model/layout.js';
import { describeNetwork } from '../../../worker/model/parameters.js';
import type { ImageBatch, Keyed, ProgramOptions, ReductionLayout } from '../../../worker/model/program.js';
import { buildTrainingPass } from '../../../worker/model/program-graph.js';
import { Graph } from '../../../worker/tensorflow/graph.js';
import { runHandOver } from '../../../worker/tensorflow/hand-over.js';
import { openSession } from '../../../worker/tensorflow/session.js';

/** The gradients of all parameters as one run computes them, in the vector of `reduction`. */
export function openUnsplitGradients(options: ProgramOptions, reduction: ReductionLayout) {
  const graph = new Graph();
  const layout = layOutState(describeNetwork(options.arch, options.classes, options.head));
  const held = declareState(graph, layout);
  const pass = buildTrainingPass(graph, held, options);
  const whole = { ...reduction, parts: [{ start: 0, end: reduction.length }] };
  const entry = buildGradientGraph(graph, pass, whole, 'all');
  const state = buildStateGraph(graph, layout, held);
  const session = openSession(graph);
  return {
    load: (values: Float32Array) => void session.run({ [state.flat]: values }, { loaded: state.loaded }),
    gradients(batches: readonly Keyed<ImageBatch>[]): Float32Array {
      const into = new Float32Array(reduction.length);
      // Not by runPart, which is compared with this.
      batches.forEach(({ batch, key, mixup }, index) => {
        const feeds = { ...batch, key: Int32Array.from(key), ...mixup };
        const { only, last } = entry.parts[0]!;
        if (index < batches.length - 1) {
          session.run(feeds, { done: index === 0 ? entry.started : entry.added });
        } else {
          runHandOver(session, index === 0 ? only : last, feeds, into);
        }
      });
      return into;
    },
    close: () => session.close(),
  };
}
