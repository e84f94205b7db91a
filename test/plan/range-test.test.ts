import { describe, expect, it } from 'vitest';
import { planRates, planStep, totalEpochs, totalSteps, trainableSets } from '../../plan/phases.js';
import { createRangeTest, rangeTestRate } from '../../plan/range-test.js';
import { epochPermutation } from '../../plan/sampler.js';
import { runConfig } from '../support/run-config.js';

const task = { kind: 'lr-find', from: 1e-7, to: 10, steps: 100 } as const;
const phases = [
  { name: 'frozen', epochs: 1, trainable: 'frozen', learningRates: [3e-4, 3e-4, 3e-3] },
  { name: 'unfrozen', epochs: 2, trainable: 'all', learningRates: [1e-6, 1e-5, 1e-4] },
] as const;
const config = runConfig({ task, phases });

describe('the rates of a range test', () => {
  it('are fastai’s: start · (end / start)^(n / 100)', () => {
    expect(rangeTestRate(task, 0)).toBe(1e-7);
    for (let step = 0; step < 100; step += 1) {
      // By logarithms and independently: from 10^-7 towards 10^1, eight decades in 100 steps.
      expect(Math.log10(rangeTestRate(task, step))).toBeCloseTo(-7 + (8 * step) / 100, 10);
    }
  });

  it('keep the proportions of the first phase', () => {
    for (const step of [0, 1, 50, 99]) {
      const rate = rangeTestRate(task, step);
      const [early, middle, last] = planRates(config, step).learningRates;
      expect(early! / rate).toBeCloseTo(0.1, 12);
      expect(middle! / rate).toBeCloseTo(0.1, 12);
      expect(last).toBe(rate);
      const unfrozen = planRates({ ...config, phases: [phases[1]] }, step).learningRates;
      expect(unfrozen[0]! / rate).toBeCloseTo(0.01, 12);
    }
  });
});

describe('the plan of a range test', () => {
  const plans = Array.from({ length: 100 }, (_, step) => planStep(config, step));

  it('is one phase of the first set of parameters at momentum .9, without ends of epochs', () => {
    expect([totalSteps(config), totalEpochs(config)]).toEqual([100, 0]);
    expect(trainableSets(config)).toEqual(['frozen']);
    for (const [step, plan] of plans.entries()) {
      expect(plan).toMatchObject({ step, stepInPhase: step, phase: 0, trainable: 'frozen', momentum: 0.9 });
      expect(plan).toMatchObject({ lastOfEpoch: false, lastOfPhase: false, lastOfRun: step === 99 });
    }
  });

  it('goes through as many epochs as it needs, each in its own order', () => {
    // 23 samples in batches of 8: three steps an epoch.
    for (let epoch = 0; epoch < 33; epoch += 1) {
      const own = plans.slice(3 * epoch, 3 * epoch + 3);
      expect(own.map((plan) => plan.epoch)).toEqual([epoch, epoch, epoch]);
      expect(own.flatMap(({ sampleIds }) => [...sampleIds])).toEqual([
        ...epochPermutation(config.seed, epoch, 23),
      ]);
    }
  });

  it('takes the first phase that has epochs', () => {
    const skipping = { ...config, phases: [{ ...phases[0], epochs: 0 }, phases[1]] };
    expect(planStep(skipping, 0)).toMatchObject({ phase: 1, trainable: 'all' });
    expect(trainableSets(skipping)).toEqual(['all']);
  });
});

describe('a run that only evaluates', () => {
  const evaluating = runConfig({ task: { kind: 'evaluate' }, phases });

  it('has no step and computes no gradient', () => {
    expect([totalSteps(evaluating), totalEpochs(evaluating)]).toEqual([0, 0]);
    expect(trainableSets(evaluating)).toEqual([]);
    expect(() => planStep(evaluating, 0)).toThrow('outside a run');
  });
});

describe('createRangeTest', () => {
  it('smooths with β .98, corrected for its start at zero', () => {
    const test = createRangeTest();
    const losses = [2, 3, 1.5, 1];
    for (const [index, loss] of losses.entries()) {
      const weights = losses.slice(0, index + 1).map((_, at) => 0.98 ** (index - at));
      const total = weights.reduce((sum, weight) => sum + weight);
      const mean = weights.reduce((sum, weight, at) => sum + weight * losses[at]!, 0) / total;
      expect(test.add({ loss, skipped: false }).smoothed).toBeCloseTo(mean, 12);
    }
  });

  it('ends above four times the lowest, and not at it', () => {
    const ending = (last: number) => {
      const test = createRangeTest();
      test.add({ loss: 1, skipped: false });
      return test.add({ loss: last, skipped: false }).diverged;
    };
    // The smoothed loss of [1, x] is (.98 + x) / 1.98, which is 4 at x = 6.94.
    expect(ending(6.93)).toBe(false);
    expect(ending(6.95)).toBe(true);
  });

  it('ends with a loss that is no number, and with a step that was skipped', () => {
    expect(createRangeTest().add({ loss: Number.NaN, skipped: false }).diverged).toBe(true);
    expect(createRangeTest().add({ loss: Number.POSITIVE_INFINITY, skipped: false }).diverged).toBe(true);
    expect(createRangeTest().add({ loss: 1, skipped: true }).diverged).toBe(true);
    expect(createRangeTest().add({ loss: 1, skipped: false }).diverged).toBe(false);
  });
});
