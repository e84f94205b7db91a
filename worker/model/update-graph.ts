import type { Trainable } from '../../plan/run-config.js';
import { layerGroupCount } from '../../plan/run-config.js';
import type { Graph, Tensor } from '../tensorflow/graph.js';
import { add, divide, finite, multiply } from '../tensorflow/ops/arithmetic.js';
import { reshape, split } from '../tensorflow/ops/arrays.js';
import { all } from '../tensorflow/ops/reductions.js';
import { constant, placeholder } from '../tensorflow/ops/sources.js';
import { applyAdam, assign, assignSubtract, done, read } from '../tensorflow/ops/variables.js';
import type { HeldState } from './held-state.js';
import type { ReductionLayout, StateLayout } from './layout.js';
import { volume } from './parameters.js';

const beta2 = 0.99;
const epsilon = 1e-8;
const statisticsMomentum = 0.1;

export interface UpdateGraph {
  /** Names of placeholders: the reduced vector, and what `adamSettings` gives. */
  readonly vector: string;
  readonly settings: string;
  readonly applied: Tensor<'int32'>;
  readonly finite: Tensor<'bool'>;
}

export interface UpdateOptions {
  /** By layer group. */
  readonly learningRates: readonly number[];
  /** β1 of this step. */
  readonly momentum: number;
  /** Counts the updates since the moments were zero, from 1. */
  readonly step: number;
}

/**
 * What an update is fed: β1, ε, then by layer group the rate that includes Adam's bias correction (1 − β^t at this step's
 * β, as in torch/optim/adam.py), then by layer group the share of a parameter that decays.
 * PyTorch adds ε to the corrected √v; here it is added to the uncorrected one, so it is scaled to mean the same.
 */
export function adamSettings(
  { learningRates, momentum, step }: UpdateOptions,
  weightDecay: number,
): Float32Array {
  const first = 1 - momentum ** step;
  const second = Math.sqrt(1 - beta2 ** step);
  const rates = learningRates.map((rate) => (rate * second) / first);
  const decays = learningRates.map((rate) => rate * weightDecay);
  return Float32Array.from([momentum, epsilon * second, ...rates, ...decays]);
}

/** Adam with decoupled weight decay on the trained parameters, and the running statistics. */
export function buildUpdateGraph(
  graph: Graph,
  state: HeldState,
  layouts: { state: StateLayout; reduction: ReductionLayout },
  trainable: Trainable,
): UpdateGraph {
  const { gradients, statistics, length } = layouts.reduction;
  const groups = new Map(layouts.state.parameters.map(({ name, group }) => [name, group]));
  return graph.scope(`update-${trainable}`, () => {
    const vector = placeholder(graph, 'vector', 'float32', [length]);
    const settings = placeholder(graph, 'settings', 'float32', [2 + 2 * layerGroupCount]);
    const number = (value: number) => constant(graph, 'float32', value);
    const scalars = split(settings, Array(2 + 2 * layerGroupCount).fill(1), 0).map((one) => reshape(one, []));
    const pieces = split(vector, [...[...gradients, ...statistics].map(({ shape }) => volume(shape)), 5], 0);
    const [, , samples, microBatches] = split(pieces.at(-1)!, [1, 1, 1, 1, 1], 0);
    const perSample = divide(number(1), reshape(samples!, []));
    const weight = divide(number(statisticsMomentum), reshape(microBatches!, []));

    const updates = gradients.map(({ name, shape }, index) => {
      const group = groups.get(name)!;
      const parameter = state.variable(name);
      const gradient = reshape(multiply(pieces[index]!, perSample), shape);
      const decay = scalars[2 + layerGroupCount + group]!;
      const decayed = assignSubtract(parameter, multiply(read(parameter), decay));
      const [first, second] = ['first', 'second'].map((order) =>
        state.variable(`optimizer.${order}.${name}`),
      );
      return graph.after([decayed], () =>
        applyAdam(parameter, first!, second!, gradient, {
          learningRate: scalars[2 + group]!,
          beta1: scalars[0]!,
          beta2: number(beta2),
          epsilon: scalars[1]!,
        }),
      );
    });
    const followed = statistics.map(({ name }, index) => {
      const running = state.variable(name);
      const kept = multiply(read(running), number(1 - statisticsMomentum));
      return assign(running, add(kept, multiply(pieces[gradients.length + index]!, weight)));
    });
    return {
      vector: vector.node.name,
      settings: settings.node.name,
      applied: done(graph, 'applied', [...updates, ...followed]),
      finite: all(finite(vector)),
    };
  });
}
