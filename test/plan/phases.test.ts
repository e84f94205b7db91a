import { expect, test } from 'vitest';
import { stepsPerEpoch } from '../../plan/micro-batches.js';
import { divideStep, largestStep, planStep, samplesAt, totalEpochs, totalSteps } from '../../plan/phases.js';
import type { RunConfig } from '../../plan/run-config.js';
import { runConfig } from '../support/run-config.js';

function configOf(changes: Partial<RunConfig>): RunConfig {
  return runConfig({
    seed: 11,
    trainCount: 100,
    batchSize: 16,
    microBatch: 4,
    phases: [
      { name: 'frozen', epochs: 2, trainable: 'frozen', learningRates: [3e-4, 3e-4, 3e-3] },
      { name: 'all', epochs: 1, trainable: 'all', learningRates: [1e-6, 1e-5, 1e-4] },
    ],
    ...changes,
  });
}

const trainCounts = [1, 2, 3, 15, 16, 17, 31, 33, 64, 65, 97, 130];
const batchSizes = [1, 2, 3, 8, 16, 50];
const microBatches = [1, 2, 3, 5, 16, 30];

test('every sample is in every epoch exactly once, for every count, batch, micro-batch and world', () => {
  for (const trainCount of trainCounts) {
    for (const batchSize of batchSizes) {
      for (const microBatch of microBatches) {
        const config = configOf({ trainCount, batchSize, microBatch });
        for (const world of [1, 2, 3, 4, 5, 8]) {
          for (let epoch = 0; epoch < totalEpochs(config); epoch += 1) {
            expect(visitsOfEpoch(config, epoch, world)).toEqual(new Array(trainCount).fill(1));
          }
        }
      }
    }
  }
});

function visitsOfEpoch(config: RunConfig, epoch: number, world: number): number[] {
  const visits = new Array<number>(config.trainCount).fill(0);
  const perEpoch = stepsPerEpoch(config);
  for (let step = epoch * perEpoch; step < (epoch + 1) * perEpoch; step += 1) {
    const plan = planStep(config, step);
    for (const share of divideStep(plan, world)) {
      for (const id of samplesAt(plan, share)) visits[id]! += 1;
    }
  }
  return visits;
}

test('a step has the batch size; the last of an epoch may be smaller, or have less than half a micro-batch more', () => {
  for (const config of grid()) {
    const sizes = stepSizes(config);
    const last = sizes.pop()!;
    expect(sizes.every((size) => size === config.batchSize)).toBe(true);
    expect(last).toBeLessThan(config.batchSize + Math.max(2, config.microBatch / 2));
    expect(largestStep(config)).toBe(Math.max(last, ...sizes));
  }
});

test('no micro-batch has less than half its size, or a single sample, unless the epoch itself is that small', () => {
  for (const config of grid()) {
    const { trainCount, batchSize, microBatch } = config;
    const least = Math.min(trainCount, batchSize, Math.max(microBatch / 2, Math.min(2, microBatch)));
    for (let step = 0; step < stepsPerEpoch(config); step += 1) {
      const sizes = planStep(config, step).microBatches.map(({ start, end }) => end - start);
      expect(Math.min(...sizes)).toBeGreaterThanOrEqual(least);
    }
  }
});

test.each([
  [66, [[16, 16, 16, 18]]],
  [71, [[16, 16, 16, 23]]],
  [72, [[16, 16, 16, 16], [8]]],
  [
    130,
    [
      [16, 16, 16, 16],
      [16, 16, 16, 18],
    ],
  ],
  [64, [[16, 16, 16, 16]]],
  [7, [[7]]],
])('an epoch of %i samples has the micro-batches %j', (trainCount, expected) => {
  const config = configOf({ trainCount, batchSize: 64, microBatch: 16 });
  const steps = Array.from({ length: stepsPerEpoch(config) }, (_, step) => planStep(config, step));
  expect(steps.map(({ microBatches }) => microBatches.map(({ start, end }) => end - start))).toEqual(
    expected,
  );
});

function* grid(): Iterable<RunConfig> {
  for (const trainCount of trainCounts) {
    for (const batchSize of batchSizes) {
      for (const microBatch of microBatches.filter((size) => size <= batchSize)) {
        yield configOf({ trainCount, batchSize, microBatch });
      }
    }
  }
}

function stepSizes(config: RunConfig): number[] {
  return Array.from({ length: stepsPerEpoch(config) }, (_, step) => planStep(config, step).sampleIds.length);
}

test('the pets of the lesson make 93 steps per epoch, the last of them partial', () => {
  const config = configOf({ trainCount: 5912, batchSize: 64, microBatch: 16 });
  expect(stepsPerEpoch(config)).toBe(93);
  expect(planStep(config, 92).sampleIds).toHaveLength(24);
});

test('each phase runs its own cycle over its own groups', () => {
  const config = configOf({ trainCount: 160 }); // 10 steps per epoch: phases of 20 and 10 steps
  expect([stepsPerEpoch(config), totalEpochs(config), totalSteps(config)]).toEqual([10, 3, 30]);
  const first = planStep(config, 0);
  expect(first).toMatchObject({ phase: 0, epoch: 0, stepInPhase: 0, trainable: 'frozen' });
  expect(first.learningRates[2]).toBeCloseTo(3e-3 / 25, 12);
  expect(first.momentum).toBeCloseTo(0.95, 12);
  const peak = planStep(config, 6);
  expect(peak.learningRates).toEqual([3e-4, 3e-4, 3e-3]);
  expect(peak.momentum).toBeCloseTo(0.85, 12);
  const second = planStep(config, 20);
  expect(second).toMatchObject({ phase: 1, epoch: 2, stepInEpoch: 0, stepInPhase: 0, trainable: 'all' });
  expect(second.learningRates[0]).toBeCloseTo(1e-6 / 25, 15);
  expect(planStep(config, 23).learningRates).toEqual([1e-6, 1e-5, 1e-4]);
});

test('the ends of epochs, phases and the run are marked once each', () => {
  const config = configOf({ trainCount: 160 });
  const steps = Array.from({ length: totalSteps(config) }, (_, step) => planStep(config, step));
  const where = (mark: 'lastOfEpoch' | 'lastOfPhase' | 'lastOfRun') =>
    steps.filter((plan) => plan[mark]).map((plan) => plan.step);
  expect(where('lastOfEpoch')).toEqual([9, 19, 29]);
  expect(where('lastOfPhase')).toEqual([19, 29]);
  expect(where('lastOfRun')).toEqual([29]);
});

test('phases without epochs are passed over', () => {
  const [frozen, all] = configOf({}).phases;
  const config = configOf({ phases: [{ ...frozen!, epochs: 0 }, all!] });
  expect(planStep(config, 0)).toMatchObject({ phase: 1, stepInPhase: 0 });
});

test('a plan is a value: the same again, and the caller may change its sample ids', () => {
  const config = configOf({});
  const before = planStep(config, 5);
  const kept = structuredClone(before);
  before.sampleIds.fill(0);
  expect(planStep(config, 5)).toEqual(kept);
});

test('a step outside the run is a broken invariant', () => {
  const config = configOf({});
  for (const step of [-1, 0.5, totalSteps(config)])
    expect(() => planStep(config, step)).toThrow('outside a run');
});
