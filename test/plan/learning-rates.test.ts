import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  averageDecay,
  layerLearningRates,
  oneCycleMomentum,
  oneCycleRate,
} from '../../plan/learning-rates.js';

test('one number is the same for every group', () => {
  expect(layerLearningRates(0.003)).toEqual([0.003, 0.003, 0.003]);
});

test('min and max are geometric over the groups, with both ends exact', () => {
  const [first, middle, last] = layerLearningRates({ min: 1e-6, max: 1e-4 });
  expect([first, last]).toEqual([1e-6, 1e-4]);
  expect(middle! / 1e-5).toBeCloseTo(1, 12);
  for (const groups of [2, 4, 7]) {
    const rates = layerLearningRates({ min: 2e-5, max: 3e-3 }, groups);
    expect(rates).toHaveLength(groups);
    const ratio = (3e-3 / 2e-5) ** (1 / (groups - 1));
    for (let group = 1; group < groups; group += 1) {
      expect(rates[group]! / rates[group - 1]!).toBeCloseTo(ratio, 9);
    }
  }
  expect(layerLearningRates({ min: 1e-5, max: 1e-3 }, 1)).toEqual([1e-3]);
});

test('max alone is a tenth for all but the last group', () => {
  const [first, middle, last] = layerLearningRates({ max: 3e-3 });
  expect([first, middle]).toEqual([3e-3 / 10, 3e-3 / 10]);
  expect(last).toBe(3e-3);
});

interface Trace {
  trace: { momentum: number; lr: number[] }[];
}

/** fastai v1's `Scheduler` (callback.py), line by line. */
class Scheduler {
  n = 0;
  readonly nIter: number;
  constructor(
    readonly start: number,
    readonly end: number,
    nIter: number,
  ) {
    this.nIter = Math.max(1, nIter);
  }
  step(): number {
    this.n += 1;
    // annealing_cos
    const cosine = Math.cos((Math.PI * this.n) / this.nIter) + 1;
    return this.end + ((this.start - this.end) / 2) * cosine;
  }
  get isDone(): boolean {
    return this.n >= this.nIter;
  }
}

/** fastai v1's `OneCycleScheduler`: the value that each batch trains with; the next one is set after it. */
function fastaiValues(steps: number, start: number, turn: number, end: number): number[] {
  const a1 = Math.floor(steps * 0.3);
  const schedulers = [new Scheduler(start, turn, a1), new Scheduler(turn, end, steps - a1)];
  let [value, index] = [start, 0];
  return Array.from({ length: steps }, () => {
    const used = value;
    const scheduler = schedulers[index];
    if (scheduler !== undefined) {
      value = scheduler.step();
      if (scheduler.isDone) index += 1;
    }
    return used;
  });
}

test('rates and momenta follow fastai over many lengths, the shortest among them', () => {
  for (const steps of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 20, 37, 92, 368, 1000]) {
    const warmupSteps = Math.floor(0.3 * steps);
    const rates = fastaiValues(steps, 3e-3 / 25, 3e-3, 3e-3 / 250_000);
    const momenta = fastaiValues(steps, 0.95, 0.85, 0.95);
    for (let step = 0; step < steps; step += 1) {
      expect(Math.abs(oneCycleRate(step, { steps, warmupSteps, peak: 3e-3 }) - rates[step]!)).toBeLessThan(
        1e-15,
      );
      expect(Math.abs(oneCycleMomentum(step, { steps, warmupSteps }) - momenta[step]!)).toBeLessThan(1e-14);
    }
  }
});

test.each([
  [1, [0.04]],
  [2, [0.04, 1]],
  [3, [0.04, 1, 0.75]],
  [4, [0.04, 1, 0.75, 0.25]],
])('%i steps train at %j of the peak', (steps, shares) => {
  const cycle = { steps, warmupSteps: Math.floor(0.3 * steps), peak: 1 };
  for (const [step, share] of shares.entries()) expect(oneCycleRate(step, cycle)).toBeCloseTo(share, 5);
});

test('batch 0 trains at lr/25 and .95, batch a1 at lr and .85, and the end is near lr/250000 and .95', () => {
  const cycle = { steps: 368, warmupSteps: 110 };
  const peak = 0.003;
  expect(oneCycleRate(0, { ...cycle, peak })).toBeCloseTo(peak / 25, 15);
  expect(oneCycleRate(110, { ...cycle, peak })).toBe(peak);
  expect(oneCycleRate(368, { ...cycle, peak })).toBeCloseTo(peak / 250_000, 15);
  expect(oneCycleMomentum(0, cycle)).toBeCloseTo(0.95, 15);
  expect(oneCycleMomentum(110, cycle)).toBeCloseTo(0.85, 15);
  expect(oneCycleMomentum(368, cycle)).toBeCloseTo(0.95, 15);
});

test.each(['resnet18', 'resnet34'])(
  'agrees with the trace of %s, whose peak lies between two steps',
  (name) => {
    const file = new URL(`../support/parity/${name}.json`, import.meta.url);
    const { trace } = JSON.parse(readFileSync(file, 'utf8')) as Trace;
    const cycle = { steps: trace.length, warmupSteps: 0.3 * trace.length };
    for (const [step, { momentum, lr }] of trace.entries()) {
      expect(Math.abs(oneCycleMomentum(step, cycle) - momentum)).toBeLessThan(1e-9);
      for (const [group, peak] of [1e-6, 1e-5, 1e-4].entries()) {
        const relative = oneCycleRate(step, { ...cycle, peak }) / lr[group]! - 1;
        expect(Math.abs(relative)).toBeLessThan(1e-9);
      }
    }
  },
);

test('forgets the first weights soon, then keeps what it was asked to', () => {
  expect(averageDecay(0.99, 0)).toBe(0.1);
  expect(averageDecay(0.99, 80)).toBe(0.9);
  expect(averageDecay(0.99, 10_000)).toBe(0.99);
  const kept = Array.from({ length: 200 }, (_, step) => averageDecay(0.999, step)).reduce((a, b) => a * b, 1);
  expect(kept).toBeLessThan(1e-6);
});
