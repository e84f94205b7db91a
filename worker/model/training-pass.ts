import assert from 'node:assert/strict';
import type { FloatDType } from '../tensorflow/dtype.js';
import { gradients } from '../tensorflow/gradients/gradients.js';
import type { Graph, Tensor } from '../tensorflow/graph.js';
import { equal } from '../tensorflow/ops/arithmetic.js';
import { concat, reshape } from '../tensorflow/ops/arrays.js';
import { cast } from '../tensorflow/ops/convert.js';
import { argMax, sum } from '../tensorflow/ops/reductions.js';
import { constant, sizeOf } from '../tensorflow/ops/sources.js';
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

/** What a micro-batch adds to a reduction, in the order of its layout. */
export interface Summands {
  readonly gradients: readonly Tensor<FloatDType>[];
  readonly statistics: readonly Tensor<'float32'>[];
  /** Loss sum, correct, samples, micro-batches; then the samples' weights, where they have any. */
  readonly tail: Tensor<'float32'>;
}

/** The reverse pass for the parameters of a layout, and what else ranks add up. */
export function summandsOf(graph: Graph, pass: TrainingPass, layout: ReductionLayout): Summands {
  const { layers, loss } = pass;
  const wanted = layout.gradients.map(({ name }) => {
    const parameter = layers.parameters.get(name);
    assert(parameter !== undefined, `the forward pass has no ${name}`);
    return parameter;
  });
  const statistics = layout.statistics.map(({ name }) => {
    const found = layers.batchStatistics.get(name);
    assert(found !== undefined, `the forward pass has no ${name}`);
    return found;
  });
  return {
    gradients: gradients(loss.lossSum, wanted) as Tensor<FloatDType>[],
    statistics,
    tail: buildTail(graph, pass),
  };
}

function buildTail(graph: Graph, { logits, labels, loss }: TrainingPass): Tensor<'float32'> {
  const correct = sum(cast(equal(argMax(logits), labels), 'float32'));
  const samples = cast(sizeOf(labels), 'float32');
  const counted = [loss.lossSum, correct, samples].map((value) => reshape(value, [1]));
  const weighed = loss.weight === null ? [] : [reshape(loss.weight, [1])];
  return concat([...counted, constant(graph, 'float32', [1]), ...weighed], 0);
}
