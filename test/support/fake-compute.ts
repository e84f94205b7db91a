import type { Mixup } from '../../plan/mixup.js';
import { type Grid, gridOf, joinSummaries, judge } from '../../worker/model/exact-sum.js';
import type { ImageBatch, Placed } from '../../worker/model/program.js';
import type { Compute, ComputeShape } from '../../worker/training/compute.js';
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
    amax: { name: 'optimizer.amax', shape: [1], offset: 3 * width + 1 },
    average: [],
    length: 3 * width + 2,
    parameterLength: width,
    evaluated: { start: 0, end: width },
  },
  held: { length: 3 * width + 2, updates: 3 * width, amax: 3 * width + 1 },
  reductions: {
    all: {
      length: width + 4,
      parts: [
        { start: 0, end: 2 },
        { start: 2, end: width + 4 },
      ],
      gradientLength: width,
      gradients: [{ name: 'w', offset: 0, shape: [width] }],
      statistics: [],
      tail: {
        lossSum: width,
        correct: width + 1,
        samples: width + 2,
        microBatches: width + 3,
        weight: width + 2,
      },
    },
  },
  vectors: {},
};

export interface FakeCompute extends Compute {
  /** Names of the operations called so far, in order. */
  readonly calls: string[];
  /** Of each update, in order. */
  readonly averageDecays: (number | null)[];
  /** Of each step's micro-batches. */
  readonly mixups: (Mixup | undefined)[][];
  /** The micro-batches of each sum. */
  readonly summed: number[][];
  readonly state: Float32Array;
  /** Of the sum under way, as a rank has it. */
  readonly vector: Float32Array;
}

/**
 * A linear "network" whose gradient is the sum of its samples' labels times 1, 2, 3 plus a part that the
 * random key decides, on a real grid but computed without TensorFlow: what the steps around it do can be checked
 * by hand.
 * `poison` makes the gradient of that label NaN.
 */
export function createFakeCompute(options: { poison?: number } = {}): FakeCompute {
  const calls: string[] = [];
  const averageDecays: (number | null)[] = [];
  const mixups: (Mixup | undefined)[][] = [];
  const summed: number[][] = [];
  const state = new Float32Array(fakeShape.state.length);
  const layout = fakeShape.reductions.all!;
  const vector = new Float32Array(layout.length);
  const amaxAt = fakeShape.state.amax.offset;
  let grid: Grid;
  let count: number;
  let asked: readonly Placed<ImageBatch>[] = [];
  /** Of the sum that was begun last. */
  let own = { sums: new Int32Array(width), largest: 0, microBatches: [] as number[], rows: [] as number[] };
  const compute: FakeCompute = {
    calls,
    averageDecays,
    mixups,
    summed,
    state,
    vector,
    async open() {
      return fakeShape;
    },
    async initialize(into, seed) {
      into.fill(seed);
      state.set(into);
    },
    async load(values) {
      state.set(values);
    },
    async save(into) {
      calls.push('save');
      into.set(state);
    },
    async saveHeld(into) {
      calls.push('saveHeld');
      into.set(state);
    },
    async loadHeld(from) {
      state.set(from);
    },
    async checksum() {
      return [...state].join();
    },
    async resetMoments() {
      calls.push('resetMoments');
      state.fill(0, width);
    },
    async gradientPart(part, batches, { microBatches, largest: given, continues, cancelled }) {
      if (Atomics.load(cancelled, 0) !== 0) throw new Error('the step was given up');
      calls.push(`gradientPart ${part}`);
      // All parts of a sum are asked for with the same batches.
      if (batches !== asked) {
        asked = batches;
        mixups.push(batches.map(({ mixup }) => mixup));
        summed.push(batches.map(({ microBatch }) => microBatch));
        if (!continues) {
          grid = gridOf(given ?? Float32Array.of(state[amaxAt]), microBatches);
          own = { sums: new Int32Array(width), largest: 0, microBatches: [], rows: [] };
        }
        count = microBatches;
        for (const { batch, key, microBatch } of batches) {
          const { labels } = batch;
          const values = [...labels].map((label) =>
            label === options.poison ? Number.NaN : label + (key[0] % 7) + 1 / 3,
          );
          const sum = Math.fround(values.reduce((total, value) => total + value, 0));
          for (let index = 0; index < width; index++) {
            own.largest = Math.max(own.largest, Math.abs(sum * (index + 1)));
            own.sums[index] += Math.round(sum * (index + 1) * grid.scales[0]);
          }
          own.microBatches.push(microBatch);
          own.rows.push(
            labels.reduce((total, label) => total + label, 0),
            0,
            labels.length,
            1,
          );
        }
      }
      const { start, end } = layout.parts[part];
      new Int32Array(vector.buffer).set(own.sums.subarray(start, Math.min(end, width)), start);
      if (part < layout.parts.length - 1) return null;
      const { microBatches: computed, rows } = own;
      return {
        largest: Float32Array.of(own.largest),
        microBatches: [...computed],
        rows: Float32Array.from(rows),
      };
    },
    async sumAlone(batches, request) {
      const whole = { ...request, continues: false, cancelled: new Int32Array(1) };
      await compute.gradientPart(0, batches, whole);
      const summary = (await compute.gradientPart(1, batches, whole))!;
      vector.set(new Int32Array(vector.buffer, 0, width));
      return summary;
    },
    async apply(summaries, { learningRates, averageDecay }) {
      calls.push('apply');
      const largest = joinSummaries(summaries, count, layout, vector);
      const verdict = judge(largest, grid, layout, vector);
      if (verdict === 'overflow') {
        mixups.pop();
        return { outcome: 'overflow', largest };
      }
      averageDecays.push(averageDecay);
      if (verdict === 'not-finite') return { outcome: 'skipped', tensorHandles: 0 };
      for (let index = 0; index < width; index++) {
        state[index] -= learningRates[0] * vector[index] * grid.units[0];
      }
      state[3 * width]! += 1;
      state[amaxAt] = largest[0];
      return { outcome: 'updated', tensorHandles: 0 };
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
  return compute;
}
