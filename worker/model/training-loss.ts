import assert from 'node:assert/strict';
import type { Criterion } from '../../plan/criterion.js';
import type { Graph, Tensor } from '../tensorflow/graph.js';
import { logSoftmax } from '../tensorflow/ops/activations.js';
import { multiply, negate } from '../tensorflow/ops/arithmetic.js';
import { gather } from '../tensorflow/ops/arrays.js';
import { crossEntropy } from '../tensorflow/ops/losses.js';
import { sum } from '../tensorflow/ops/reductions.js';
import { constant } from '../tensorflow/ops/sources.js';
import { blend, type Mixing } from './mixing.js';

export interface LossOptions extends Criterion {
  readonly classes: number;
}

export interface TrainingLoss {
  readonly lossSum: Tensor<'float32'>;
  /** Sum of the samples' class weights, which the mean divides by; null where it divides by the samples. */
  readonly weight: Tensor<'float32'> | null;
}

/**
 * The sum over a micro-batch of the criterion (plan/criterion.ts). With mixing, a sample has its own loss and
 * its partner's, each by its share, and their weights likewise.
 */
export function buildTrainingLoss(
  logits: Tensor<'float32'>,
  labels: Tensor<'int32'>,
  options: LossOptions,
  mixing: Mixing | null,
): TrainingLoss {
  const { classWeights } = options;
  if (isPlain(options) && mixing === null)
    return { lossSum: sum(crossEntropy(logits, labels)), weight: null };
  const graph = logits.node.graph;
  return graph.scope('loss', () => {
    const lossSum = negate(sum(buildTerms(logits, labels, options, mixing)));
    if (classWeights === null) return { lossSum, weight: null };
    const weights = constant(graph, 'float32', classWeights, [classWeights.length, 1]);
    return { lossSum, weight: sum(rowsOf(weights, labels, mixing)) };
  });
}

/** The criterion's loss of each sample, unmixed: [n]. */
export function buildSampleLosses(
  logits: Tensor<'float32'>,
  labels: Tensor<'int32'>,
  options: LossOptions,
): Tensor<'float32'> {
  if (isPlain(options)) return crossEntropy(logits, labels);
  return logits.node.graph.scope('loss', () => negate(sum(buildTerms(logits, labels, options, null), [1])));
}

function isPlain({ classWeights, labelSmoothing }: LossOptions): boolean {
  return classWeights === null && labelSmoothing === 0;
}

/** [n, classes]: what each class adds to a sample's loss, negative. */
function buildTerms(
  logits: Tensor<'float32'>,
  labels: Tensor<'int32'>,
  options: LossOptions,
  mixing: Mixing | null,
): Tensor<'float32'> {
  const targets = rowsOf(targetTable(logits.node.graph, options), labels, mixing);
  return multiply(targets, logSoftmax(logits));
}

function rowsOf(table: Tensor<'float32'>, labels: Tensor<'int32'>, mixing: Mixing | null): Tensor<'float32'> {
  const rows = gather(table, labels);
  return mixing === null ? rows : blend(rows, mixing);
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
