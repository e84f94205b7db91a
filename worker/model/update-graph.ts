import { layerGroupCount } from '../../plan/learning-rates.js';
import type { Trainable } from '../../plan/run-config.js';
import type { Graph, Node, Tensor } from '../tensorflow/graph.js';
import { add, divide, multiply, subtract } from '../tensorflow/ops/arithmetic.js';
import { reshape, split } from '../tensorflow/ops/arrays.js';
import { copy } from '../tensorflow/ops/convert.js';
import { placeholder } from '../tensorflow/ops/placeholder.js';
import { constant } from '../tensorflow/ops/sources.js';
import { applyAdam, assign, assignSubtract, done, read, type Variable } from '../tensorflow/ops/variables.js';
import type { HeldState } from './held-state.js';
import { isTrained } from './parameters.js';
import type { Reduced } from './reduction-graph.js';

const beta2 = 0.99;
const epsilon = 1e-8;
const statisticsMomentum = 0.1;

export interface UpdateGraph {
  /** Names of placeholders: what is `Reduced`'s, and what `updateSettings` gives. */
  readonly vector: string;
  readonly settings: string;
  readonly factors: string | null;
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
 * @param reduced of the blocks that `trainable` trains
 */
export function buildUpdateGraph(
  graph: Graph,
  state: HeldState,
  reduced: Reduced,
  trainable: Trainable,
): UpdateGraph {
  const blocks = state.blocks.filter((block) => isTrained(block, trainable));
  return graph.scope(`update-${trainable}`, () => {
    const settings = placeholder(graph, 'settings', 'float32', [settingCount]);
    const number = (value: number) => constant(graph, 'float32', value);
    const [beta1, scaledEpsilon, replaced, updateCount, ...byGroup] = scalarsOf(settings, settingCount);
    const amax = placeholder(graph, 'amax', 'float32', state.amax.shape as readonly number[]);
    const weight = divide(number(statisticsMomentum), reduced.microBatches);

    const changes = new Map<string, Node>();
    for (const [index, block] of blocks.entries()) {
      const parameters = state.value(block);
      const kept = byGroup[layerGroupCount + block.group]!;
      const decayed = assign(parameters, multiply(read(parameters), kept));
      const [first, second] = [state.moment('first', block), state.moment('second', block)];
      const scalars = {
        learningRate: byGroup[block.group]!,
        beta1: beta1!,
        beta2: number(beta2),
        epsilon: scaledEpsilon!,
      };
      const updated = graph.after([decayed], () =>
        applyAdam(parameters, first, second, reduced.blocks[index]!, scalars),
      );
      changes.set(block.name, updated);
    }
    const running = state.value(state.statistics);
    const kept = multiply(read(running), number(1 - statisticsMomentum));
    changes.set(state.statistics.name, assign(running, add(kept, multiply(reduced.statistics, weight))));

    const averaged = [...state.blocks, state.statistics].flatMap((block) => {
      const average = state.average(block);
      if (average === null) return [];
      const change = changes.get(block.name);
      return [
        graph.after(change === undefined ? [] : [change], () =>
          approach(average, state.value(block), replaced!),
        ),
      ];
    });
    const counted = assign(state.updates, reshape(updateCount!, [1]));
    const noted = assign(state.amax, copy(amax));
    return {
      vector: reduced.vector.node.name,
      settings: settings.node.name,
      factors: reduced.factors?.node.name ?? null,
      amax: amax.node.name,
      applied: done(graph, 'applied', [...changes.values(), ...averaged, counted, noted]),
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
