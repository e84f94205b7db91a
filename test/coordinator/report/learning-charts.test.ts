import { describe, expect, it } from 'vitest';
import { learningCurves, mostPoints } from '../../../coordinator/report/learning-charts.js';
import { schedulePanels } from '../../../coordinator/report/schedule-charts.js';
import { stepsPerEpoch } from '../../../plan/micro-batches.js';
import { planStep, totalSteps } from '../../../plan/phases.js';
import { historyOf, reportConfig } from '../../support/report-run.js';

const config = reportConfig(); // 3 steps an epoch; 1 frozen epoch, then 2 unfrozen ones
const long = reportConfig({ trainCount: 8000, batchSize: 8 }); // 1000 steps an epoch

describe('learningCurves', () => {
  it('places each step by epochs, and smooths each phase by itself', () => {
    const history = historyOf(config);
    const { trainLoss, smoothedLoss, validLoss, errorRate } = learningCurves(config, history);
    expect(trainLoss).toEqual(history.steps.map(({ step, loss }) => ({ x: (step + 1) / 3, y: loss })));
    expect(smoothedLoss).toHaveLength(history.steps.length + 1);
    expect(smoothedLoss[3]).toEqual({ x: Number.NaN, y: Number.NaN });
    // Debiased: the first value of a phase is the step's own loss.
    expect(smoothedLoss[0]!.y).toBeCloseTo(history.steps[0]!.loss!, 12);
    expect(smoothedLoss[4]!.y).toBeCloseTo(history.steps[3]!.loss!, 12);
    expect(validLoss.map(({ x, y }) => [x, y])).toEqual([
      [1, 1.5],
      [2, 0.75],
      [3, 0.5],
    ]);
    expect(errorRate.map(({ x }) => x)).toEqual([1, 2, 3]);
  });

  it('gathers the steps of a long run, each in one point', () => {
    const history = historyOf(long);
    const { trainLoss, smoothedLoss } = learningCurves(long, history);
    expect(trainLoss.length).toBeLessThanOrEqual(mostPoints);
    expect(smoothedLoss.length).toBeLessThanOrEqual(mostPoints + 1);
    const stride = Math.ceil(history.steps.length / mostPoints);
    const first = history.steps.slice(0, stride).map(({ loss }) => loss!);
    expect(trainLoss[0]!.y).toBeCloseTo(first.reduce((sum, loss) => sum + loss, 0) / stride, 12);
    expect(trainLoss.at(-1)!.x).toBe(3);
  });

  it('is NaN where a loss was not finite', () => {
    const { steps } = historyOf(config);
    const broken = steps.map((line) => (line.step === 1 ? { ...line, loss: null } : line));
    const { trainLoss, smoothedLoss } = learningCurves(config, { steps: broken, epochs: [] });
    expect(trainLoss[1]!.y).toBeNaN();
    expect(smoothedLoss[1]!.y).toBeCloseTo(smoothedLoss[0]!.y, 12);
  });
});

describe('schedulePanels', () => {
  it.each([
    ['short', config],
    ['long', long],
  ])('follows the plan of a %s run, from its first step to its last', (_, run) => {
    const [rates, momentum] = schedulePanels(run);
    const perEpoch = stepsPerEpoch(run);
    const [line] = rates!.series;
    expect(line!.points[0]!.x).toBe(0);
    expect(line!.points.at(-1)!.x).toBeCloseTo((totalSteps(run) - 1) / perEpoch, 12);
    for (const [index, { x, y }] of line!.points.entries()) {
      const plan = planStep(run, Math.round(x * perEpoch));
      expect(y).toBe(plan.learningRates[0]);
      expect(momentum!.series[0]!.points[index]!.y).toBe(plan.momentum);
    }
  });

  it('has one line when all layers share a rate, and one for each group otherwise', () => {
    const sliced = reportConfig({
      phases: [{ name: 'unfrozen', epochs: 2, trainable: 'all', learningRates: [1e-6, 1e-5, 1e-4] }],
    });
    const names = (run: typeof config) => schedulePanels(run)[0]!.series.map(({ name }) => name);
    expect(names(config)).toEqual(['all layers']);
    expect(names(sliced)).toEqual(['stem to layer 2', 'layers 3 and 4', 'head']);
    const peaks = schedulePanels(sliced)[0]!.series.map(({ points }) =>
      Math.max(...points.map(({ y }) => y)),
    );
    expect(peaks).toEqual([1e-6, 1e-5, 1e-4]);
  });
});
