import type { Mixup } from '../../plan/mixup.js';
import type { Compute, ComputeShape, Digests } from '../../worker/training/compute.js';
import { fakeKernels } from './kernels.js';

/** Values in the fake network's one parameter. */
const width = 3;

export const fakeShape: ComputeShape = {
  kernels: fakeKernels,
  state: {
    parameters: [{ name: 'w', shape: [width], offset: 0, group: 0 }],
    statistics: [],
    first: [{ name: 'optimizer.first.w', shape: [width], offset: width }],
    second: [{ name: 'optimizer.second.w', shape: [width], offset: 2 * width }],
    updates: { name: 'optimizer.updates', shape: [1], offset: 3 * width },
    average: [],
    length: 3 * width + 1,
    parameterLength: width,
    evaluated: { start: 0, end: width },
  },
  reductions: {
    all: {
      length: width + 5,
      parts: [
        { start: 0, end: 2 },
        { start: 2, end: width + 5 },
      ],
      exactFrom: width,
      gradients: [{ name: 'w', offset: 0, shape: [width] }],
      statistics: [],
      tail: {
        lossSum: width,
        correct: width + 1,
        samples: width + 2,
        microBatches: width + 3,
        stopVotes: width + 4,
        weight: width + 2,
      },
    },
  },
};

export interface FakeCompute extends Compute {
  /** Names of the operations called so far, in order. */
  readonly calls: string[];
  /** Of each update, in order. */
  readonly averageDecays: (number | null)[];
  /** Of each step's micro-batches. */
  readonly mixups: (Mixup | undefined)[][];
  readonly state: Float32Array;
}

/**
 * A linear "network" whose gradient is the sum of its samples' labels times 1, 2, 3 plus a part that the
 * random key decides, computed without TensorFlow: what the steps around it do can be checked by hand.
 * `poison` makes the gradient of that label NaN.
 */
export function createFakeCompute(options: { poison?: number } = {}): FakeCompute {
  const calls: string[] = [];
  const averageDecays: (number | null)[] = [];
  const mixups: (Mixup | undefined)[][] = [];
  const state = new Float32Array(fakeShape.state.length);
  const digestOf = (values: Float32Array): Digests => ({
    state: [...values].join(),
    parameters: [...values.subarray(0, width)].join(),
  });
  return {
    calls,
    averageDecays,
    mixups,
    state,
    async open() {
      return fakeShape;
    },
    async initialize(into, seed) {
      into.fill(seed);
      state.set(into);
      return digestOf(into);
    },
    async load(values) {
      state.set(values);
      return digestOf(values);
    },
    async save(into) {
      calls.push('save');
      into.set(state);
      return digestOf(into);
    },
    async resetMoments() {
      calls.push('resetMoments');
      state.fill(0, width);
    },
    async gradientPart(part, batches, _trainable, into) {
      calls.push(`gradientPart ${part}`);
      if (part === 0) mixups.push(batches.map(({ mixup }) => mixup));
      const sum = new Float32Array(into.length);
      for (const { batch, key } of batches) {
        for (const label of batch.labels) {
          const value = label === options.poison ? Number.NaN : label + (key[0] % 7);
          for (let index = 0; index < width; index++) sum[index] += value * (index + 1);
          sum[width] += label;
          sum[width + 2] += 1;
        }
        sum[width + 3] += 1;
      }
      const { start, end } = fakeShape.reductions.all!.parts[part];
      into.set(sum.subarray(start, end), start);
    },
    async apply(vector, { learningRates, averageDecay }) {
      calls.push('apply');
      averageDecays.push(averageDecay);
      const gradients = vector.subarray(0, width);
      const updated = gradients.every(Number.isFinite);
      if (updated) {
        gradients.forEach((gradient, index) => {
          state[index] -= learningRates[0] * gradient;
        });
        state[3 * width]! += 1;
      }
      return { updated, tensorHandles: 0 };
    },
    async evaluate({ labels }) {
      return {
        losses: Float32Array.from(labels, (label) => label / 2),
        predictions: Int32Array.from(labels),
        labelRanks: new Uint32Array(labels.length),
        probabilities: Float32Array.from(labels, () => 0.5),
      };
    },
    async predict({ transforms }) {
      return new Float32Array((transforms.length / 8) * 2).fill(0.5);
    },
    async close() {},
  };
}
