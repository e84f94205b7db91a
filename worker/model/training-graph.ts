import assert from 'node:assert/strict';
import type { Trainable } from '../../plan/run-config.js';
import { gradients } from '../tensorflow/gradients/gradients.js';
import type { Graph, Tensor } from '../tensorflow/graph.js';
import { type HandOver, handOver } from '../tensorflow/hand-over.js';
import { add, equal } from '../tensorflow/ops/arithmetic.js';
import { concat, reshape } from '../tensorflow/ops/arrays.js';
import { cast } from '../tensorflow/ops/convert.js';
import { argMax, sum } from '../tensorflow/ops/reductions.js';
import { constant, sizeOf } from '../tensorflow/ops/sources.js';
import { assign, assignAdd, done, read, variable } from '../tensorflow/ops/variables.js';
import { cutIntoParts } from '../tensorflow/parts.js';
import type { Layers } from './layers.js';
import type { ReductionLayout } from './layout.js';
import { joinParts } from './reduction-graph.js';
import type { TrainingLoss } from './training-loss.js';

/** One micro-batch through the network in training mode. */
export interface TrainingPass {
  readonly layers: Layers;
  readonly logits: Tensor<'float32'>;
  readonly labels: Tensor<'int32'>;
  readonly loss: TrainingLoss;
}

/** One run of the last micro-batch: it ends with one part of the vector. */
export interface GradientPart {
  /** When there was no other micro-batch, and when there was. */
  readonly only: HandOver;
  readonly last: HandOver;
  /** Names of the placeholders that the run reads. */
  readonly feeds: ReadonlySet<string>;
}

/** Entry points for a sum over micro-batches: `started`, then `added`, for all but the last one; its `parts`, in order. */
export interface GradientGraph {
  readonly started: Tensor<'int32'>;
  readonly added: Tensor<'int32'>;
  readonly parts: readonly GradientPart[];
}

/** The reverse pass for one set of trainable parameters, and the vector that ranks add up. */
export function buildGradientGraph(
  graph: Graph,
  pass: TrainingPass,
  layout: ReductionLayout,
  trainable: Trainable,
): GradientGraph {
  return graph.scope(`gradients-${trainable}`, () => {
    const wanted = layout.gradients.map(({ name }) => pass.layers.parameter(name));
    const statistics = layout.statistics.map(({ name }) => {
      const found = pass.layers.batchStatistics.get(name);
      assert(found !== undefined, `the forward pass has no ${name}`);
      return found;
    });
    const vectors = joinParts(graph, layout, {
      gradients: gradients(pass.loss.lossSum, wanted) as Tensor<'float32'>[],
      statistics,
      tail: buildTail(graph, pass),
    });
    const accumulated = vectors.map(({ shape }, part) =>
      variable(graph, `accumulated/${trainable}/${part}`, 'float32', shape),
    );
    const parts = cutIntoParts(graph, `parts-${trainable}`, vectors);
    return {
      started: done(
        graph,
        'started',
        vectors.map((vector, part) => assign(accumulated[part]!, vector)),
      ),
      added: done(
        graph,
        'added',
        vectors.map((vector, part) => assignAdd(accumulated[part]!, vector)),
      ),
      parts: parts.map(({ tensor, alongside, feeds }, part) => ({
        only: handOver(graph, 'only', tensor, alongside),
        last: handOver(graph, 'last', add(read(accumulated[part]!), tensor), alongside),
        feeds,
      })),
    };
  });
}

/** Loss sum, correct, samples, micro-batches, stop votes; then the samples' weights, where they have any. */
function buildTail(graph: Graph, { logits, labels, loss }: TrainingPass): Tensor<'float32'> {
  const correct = sum(cast(equal(argMax(logits), labels), 'float32'));
  const samples = cast(sizeOf(labels), 'float32');
  const counted = [loss.lossSum, correct, samples].map((value) => reshape(value, [1]));
  const weighed = loss.weight === null ? [] : [reshape(loss.weight, [1])];
  return concat([...counted, constant(graph, 'float32', [1, 0]), ...weighed], 0);
}
