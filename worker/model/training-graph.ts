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
import type { Layers } from './layers.js';
import type { ReductionLayout } from './layout.js';
import type { TrainingLoss } from './training-loss.js';

/** One micro-batch through the network in training mode. */
export interface TrainingPass {
  readonly layers: Layers;
  readonly logits: Tensor<'float32'>;
  readonly labels: Tensor<'int32'>;
  readonly loss: TrainingLoss;
}

/** Entry points for a sum over micro-batches: `only`, or `start`, any number of `more`, `last`. */
export interface GradientGraph {
  readonly only: HandOver;
  readonly started: Tensor<'int32'>;
  readonly added: Tensor<'int32'>;
  readonly last: HandOver;
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
    const parts = [...gradients(pass.loss.lossSum, wanted), ...statistics] as Tensor<'float32'>[];
    const flat = parts.map((part) => reshape(part, [null]));
    const vector = concat([...flat, buildTail(graph, pass)], 0);
    const accumulated = variable(graph, 'accumulated', 'float32', [layout.length]);
    return {
      only: handOver(graph, 'only', vector),
      started: done(graph, 'started', [assign(accumulated, vector)]),
      added: done(graph, 'added', [assignAdd(accumulated, vector)]),
      last: handOver(graph, 'last', add(read(accumulated), vector)),
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
