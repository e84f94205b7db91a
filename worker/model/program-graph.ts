import type { Trainable } from '../../plan/run-config.js';
import { Graph, type Tensor } from '../tensorflow/graph.js';
import { softmax } from '../tensorflow/ops/activations.js';
import { exp, negate } from '../tensorflow/ops/arithmetic.js';
import { reshape } from '../tensorflow/ops/arrays.js';
import { bitcastPairs } from '../tensorflow/ops/convert.js';
import { crossEntropy } from '../tensorflow/ops/losses.js';
import { placeholder } from '../tensorflow/ops/placeholder.js';
import { argMax } from '../tensorflow/ops/reductions.js';
import { buildGradientGraph, type GradientGraph } from './gradient-parts.js';
import { declareState, type HeldState, weightsOf } from './held-state.js';
import { buildNormalizedInput, buildPixelInput } from './input.js';
import { type KeptSum, keepSum } from './kept-sum.js';
import { openLayers } from './layers.js';
import { layOutReduction, layOutState, type ReductionLayout, type StateLayout } from './layout.js';
import { blend, buildMixing } from './mixing.js';
import { buildNetwork } from './network.js';
import { describeNetwork, isTrained, type NetworkSpec } from './parameters.js';
import type { ProgramOptions } from './program-options.js';
import { splitVector } from './reduction-graph.js';
import { buildStateGraph, type StateGraph } from './state-graph.js';
import { buildSampleLosses, buildTrainingLoss, type LossOptions } from './training-loss.js';
import type { TrainingPass } from './training-pass.js';
import { buildUpdateGraph, type UpdateGraph } from './update-graph.js';

/** Entry points that differ by what is trained. */
export interface TrainableSet {
  readonly reduction: ReductionLayout;
  readonly gradient: GradientGraph;
  readonly update: UpdateGraph;
  /** For a worker that is alone, on a GPU. */
  readonly kept: { readonly sum: KeptSum; readonly update: UpdateGraph } | null;
}

export interface EvaluationGraph {
  readonly logits: Tensor<'float32'>;
  readonly probabilities: Tensor<'float32'>;
  readonly results: {
    readonly losses: Tensor<'float32'>;
    readonly predictions: Tensor<'int32'>;
    readonly probabilities: Tensor<'float32'>;
  };
}

export interface ProgramGraph {
  readonly graph: Graph;
  readonly layout: StateLayout;
  readonly state: StateGraph;
  readonly sets: ReadonlyMap<Trainable, TrainableSet>;
  readonly evaluation: EvaluationGraph;
}

/**
 * The forward pass in training, and the input that it shares with evaluation. Placeholders: pixels,
 * transforms, lighting, labels, key; with mixup, shares and partners.
 */
export function buildTrainingPass(
  graph: Graph,
  held: HeldState,
  options: ProgramOptions,
): TrainingPass & { readonly images: Tensor<'float32'> } {
  const { mixup = false } = options;
  const images =
    options.input === 'normalized'
      ? buildNormalizedInput(graph, options.size)
      : buildPixelInput(graph, options.presize, options.size);
  const labels = placeholder(graph, 'labels', 'int32', [null]);
  const key = bitcastPairs(reshape(placeholder(graph, 'key', 'int32', [2]), [1, 2]));
  const mixing = mixup ? buildMixing(graph) : null;
  const layers = openLayers(graph, weightsOf(held), true);
  const logits = graph.scope('training', () => {
    const mixed = mixing === null ? images : blend(images, mixing);
    return buildNetwork(layers, options, mixed, { rates: options.dropout, key });
  });
  const loss = buildTrainingLoss(logits, labels, lossOptions(options), mixing);
  return { images, layers, logits, labels, loss };
}

/** One graph with every entry point of a program. */
export function buildProgramGraph(options: ProgramOptions): ProgramGraph {
  const graph = new Graph();
  const { classes, averaged = false } = options;
  const network = describeNetwork(options.arch, classes, options.head);
  const layout = layOutState(network, { averaged });
  const held = declareState(graph, layout, network);
  const pass = buildTrainingPass(graph, held, options);
  const sets = options.trainable.map(
    (trainable) =>
      [trainable, buildTrainableSet(graph, held, pass, { network, options }, trainable)] as const,
  );
  return {
    graph,
    layout,
    state: buildStateGraph(graph, layout, held),
    sets: new Map(sets),
    evaluation: graph.scope('evaluation', () => {
      const layers = openLayers(graph, weightsOf(held, { averaged: true }), false);
      return buildEvaluation(buildNetwork(layers, options, pass.images), pass.labels, options);
    }),
  };
}

function lossOptions({ classes, labelSmoothing = 0, classWeights = null }: ProgramOptions): LossOptions {
  return { classes, labelSmoothing, classWeights };
}

function buildTrainableSet(
  graph: Graph,
  held: HeldState,
  pass: TrainingPass,
  o: { network: NetworkSpec; options: ProgramOptions },
  trainable: Trainable,
): TrainableSet {
  const weighted = (o.options.classWeights ?? null) !== null;
  const reduction = layOutReduction(o.network, trainable, { weighted });
  const { onGpu = false, clipNorm = null } = o.options;
  const blocks = held.blocks.filter((block) => isTrained(block, trainable));
  const reduced = graph.scope(`reduced-${trainable}`, () => splitVector(graph, reduction, blocks, onGpu));
  const set = {
    reduction,
    gradient: buildGradientGraph(graph, pass, reduction, trainable),
    update: buildUpdateGraph(graph, held, reduced, trainable),
  };
  // A bound takes the norm of all gradients, which is computed outside of the session.
  if (!onGpu || clipNorm !== null) return { ...set, kept: null };
  const kept = keepSum(graph, pass, reduction, { trainable, blocks });
  const update = buildUpdateGraph(graph, held, kept.reduced, trainable);
  return { ...set, kept: { sum: kept.sum, update } };
}

function buildEvaluation(
  logits: Tensor<'float32'>,
  labels: Tensor<'int32'>,
  options: ProgramOptions,
): EvaluationGraph {
  return {
    logits,
    probabilities: softmax(logits),
    results: {
      losses: buildSampleLosses(logits, labels, lossOptions(options)),
      predictions: argMax(logits),
      probabilities: exp(negate(crossEntropy(logits, labels))),
    },
  };
}
