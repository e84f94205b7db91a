import assert from 'node:assert/strict';
import type { Graph, Tensor } from '../tensorflow/graph.js';
import { logSoftmax } from '../tensorflow/ops/activations.js';
import { multiply, negate } from '../tensorflow/ops/arithmetic.js';
import { gather } from '../tensorflow/ops/arrays.js';
import { crossEntropy } from '../tensorflow/ops/losses.js';
import { sum } from '../tensorflow/ops/reductions.js';
import { constant } from '../tensorflow/ops/sources.js';
import { blend, type Mixing } from './mixing.js';

export interface LossOptions {
  readonly classes: number;
  /** Share of a label's weight that is spread evenly over all classes. */
  readonly labelSmoothing: number;
  /** By class, above 0; null for all 1. */
  readonly classWeights: readonly number[] | null;
}

export interface TrainingLoss {
  readonly lossSum: Tensor<'float32'>;
  /** Sum of the samples' class weights, which the mean divides by; null where it divides by the samples. */
  readonly weight: Tensor<'float32'> | null;
}

/**
 * The sum over a micro-batch of what PyTorch's CrossEntropyLoss(weight, label_smoothing) calls the loss of a sample with
 * label y: (1 − s) w[y] (−log p[y]) + s / classes · Σ_c w[c] (−log p[c]). Its mean divides by Σ w[y]. With mixing, a
 * sample has its own loss and its partner's, each by its share, and their weights likewise.
 */
export function buildTrainingLoss(
  logits: Tensor<'float32'>,
  labels: Tensor<'int32'>,
  options: LossOptions,
  mixing: Mixing | null,
): TrainingLoss {
  const { classWeights, labelSmoothing } = options;
  if (classWeights === null && labelSmoothing === 0 && mixing === null) {
    return { lossSum: sum(crossEntropy(logits, labels)), weight: null };
  }
  const graph = logits.node.graph;
  return graph.scope('loss', () => {
    const rowsOf = (table: Tensor<'float32'>) => {
      const rows = gather(table, labels);
      return mixing === null ? rows : blend(rows, mixing);
    };
    const targets = rowsOf(targetTable(graph, options));
    const lossSum = negate(sum(multiply(targets, logSoftmax(logits))));
    if (classWeights === null) return { lossSum, weight: null };
    const weights = constant(graph, 'float32', classWeights, [classWeights.length, 1]);
    return { lossSum, weight: sum(rowsOf(weights)) };
  });
}

/** [classes, classes]: row y holds the factor of each class's −log p in the loss of a sample with label y. */
function targetTable(
  graph: Graph,
  { classes, labelSmoothing, classWeights }: LossOptions,
): Tensor<'float32'> {
  const weights = classWeights ?? new Array<number>(classes).fill(1);
  assert(
    weights.length === classes && weights.every((weight) => weight > 0 && Number.isFinite(weight)),
    `${classes} class weights above 0 are wanted, not ${weights.join(', ')}`,
  );
  const table = weights.flatMap((own, label) =>
    weights.map(
      (weight, k) => (k === label ? (1 - labelSmoothing) * own : 0) + (labelSmoothing / classes) * weight,
    ),
  );
  return constant(graph, 'float32', table, [classes, classes]);
}
