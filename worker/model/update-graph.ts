import type { Trainable } from '../../plan/run-config.js';
import { layerGroupCount } from '../../plan/run-config.js';
import type { Graph, Node, Tensor } from '../tensorflow/graph.js';
import { add, divide, multiply, subtract } from '../tensorflow/ops/arithmetic.js';
import { reshape, split } from '../tensorflow/ops/arrays.js';
import { copy } from '../tensorflow/ops/convert.js';
import { placeholder } from '../tensorflow/ops/placeholder.js';
import { constant } from '../tensorflow/ops/sources.js';
import { applyAdam, assign, assignSubtract, done, read, type Variable } from '../tensorflow/ops/variables.js';
import type { HeldState } from './held-state.js';
import type { ReductionLayout, StateLayout } from './layout.js';
import type { Reduced } from './reduction-graph.js';

const beta2 = 0.99;
const epsilon = 1e-8;
const statisticsMomentum = 0.1;

export interface UpdateGraph {
  /** Names of placeholders: the reduced vector, and what `updateFeeds` gives. */
  readonly vector: string;
  readonly settings: string;
  readonly factors: string;
  readonly amax: string;
  readonly applied: Tensor<'int32'>;
}

export interface UpdateOptions {
  /** By layer group. */
  readonly learningRates: readonly number[];
  /** β1 of this step. */
  readonly momentum: number;
  /** What the moving average keeps of itself, where there is one; all of it unless given. */
  readonly averageDecay?: number | null;
}

export interface UpdateSettings {
  /** Counts the updates since the moments were zero, this one included. */
  readonly updates: number;
  readonly weightDecay: number;
}

/** Values in `settings`. */
const settingCount = 4 + 2 * layerGroupCount;

/**
 * What an update is fed beside the vector, its factors and amax: β1, ε, the share of the moving average that is
 * replaced, the number of updates t, then by layer group the rate that includes Adam's bias correction (1 − β^t
 * at this step's β, as in torch/optim/adam.py), then by layer group what decay keeps of a parameter (as
 * torch/optim/adamw.py multiplies it). PyTorch adds ε to the corrected √v; here it is added to the
 * uncorrected one, so it is scaled to mean the same.
 */
export function updateSettings(
  { learningRates, momentum, averageDecay }: UpdateOptions,
  { updates, weightDecay }: UpdateSettings,
): Float32Array {
  const first = 1 - momentum ** updates;
  const second = Math.sqrt(1 - beta2 ** updates);
  const rates = learningRates.map((rate) => (rate * second) / first);
  const kept = learningRates.map((rate) => 1 - rate * weightDecay);
  const replaced = 1 - (averageDecay ?? 1);
  return Float32Array.from([momentum, epsilon * second, replaced, updates, ...rates, ...kept]);
}

/**
 * Adam with decoupled weight decay on the trained parameters, the running statistics, the number of updates,
 * and, where the state has one, the moving average of all parameters and statistics (as timm's ModelEmaV2
 * averages a whole state_dict).
 *
 * @param layouts.reduction names what is in `reduced`
 */
export function buildUpdateGraph(
  graph: Graph,
  state: HeldState,
  reduced: Reduced,
  layouts: { state: StateLayout; reduction: ReductionLayout },
  trainable: Trainable,
): UpdateGraph {
  const { gradients, statistics } = layouts.reduction;
  const groups = new Map(layouts.state.parameters.map(({ name, group }) => [name, group]));
  return graph.scope(`update-${trainable}`, () => {
    const settings = placeholder(graph, 'settings', 'float32', [settingCount]);
    const number = (value: number) => constant(graph, 'float32', value);
    const [beta1, scaledEpsilon, replaced, updateCount, ...byGroup] = scalarsOf(settings, settingCount);
    // What each gradient is multiplied by to be the mean.
    const factors = placeholder(graph, 'factors', 'float32', [gradients.length]);
    const scaled = reduced.scaledGradients(factors);
    const amax = placeholder(graph, 'amax', 'float32', layouts.state.amax.shape);
    const weight = divide(number(statisticsMomentum), reduced.microBatches);

    const updates = gradients.map(({ name }, index) => {
      const group = groups.get(name)!;
      const parameter = state.variable(name);
      const kept = byGroup[layerGroupCount + group]!;
      const decayed = assign(parameter, multiply(read(parameter), kept));
      const [first, second] = ['first', 'second'].map((order) =>
        state.variable(`optimizer.${order}.${name}`),
      );
      return graph.after([decayed], () =>
        applyAdam(parameter, first!, second!, scaled[index]!, {
          learningRate: byGroup[group]!,
          beta1: beta1!,
          beta2: number(beta2),
          epsilon: scaledEpsilon!,
        }),
      );
    });
    const followed = statistics.map(({ name }, index) => {
      const running = state.variable(name);
      const kept = multiply(read(running), number(1 - statisticsMomentum));
      return assign(running, add(kept, multiply(reduced.statistics[index]!, weight)));
    });
    const changes = new Map([
      ...gradients.map(({ name }, index) => [name, updates[index]!] as const),
      ...statistics.map(({ name }, index) => [name, followed[index]!] as const),
    ]);
    const evaluated = [...layouts.state.parameters, ...layouts.state.statistics];
    const averaged = layouts.state.average.map((average, index) => {
      const { name } = evaluated[index]!;
      const change = changes.get(name);
      return graph.after(change === undefined ? [] : [change], () =>
        approach(state.variable(average.name), state.variable(name), replaced!),
      );
    });
    const counted = assign(state.variable(layouts.state.updates.name), reshape(updateCount!, [1]));
    const noted = assign(state.variable(layouts.state.amax.name), copy(amax));
    return {
      vector: reduced.vector.node.name,
      settings: settings.node.name,
      factors: factors.node.name,
      amax: amax.node.name,
      applied: done(graph, 'applied', [...updates, ...followed, ...averaged, counted, noted]),
    };
  });
}

/** Moves `average` towards `value` by a share of their distance: not at all where they are equal. */
function approach(average: Variable, value: Variable, share: Tensor<'float32'>): Node {
  const distance = subtract(read(average), read(value));
  return assignSubtract(average, multiply(distance, share));
}

function scalarsOf(vector: Tensor<'float32'>, count: number): Tensor<'float32'>[] {
  return split(vector, new Array<number>(count).fill(1), 0).map((one) => reshape(one, []));
}
