import { expect, it } from 'vitest';
import { recordEpoch } from '../../../coordinator/run-store/epoch-record.js';
import { createSmoothedLoss } from '../../../plan/criterion.js';
import { stepLine, tinyConfig } from '../../support/tiny-run.js';

/** The weighted mean written out: weights .98^(n−1−i), divided by their sum. */
function weightedMean(losses: readonly number[]): number {
  const weights = losses.map((_, index) => 0.98 ** (losses.length - 1 - index));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return losses.reduce((sum, loss, index) => sum + loss * weights[index]!, 0) / total;
}

const config = tinyConfig();
const steps = Array.from({ length: 9 }, (_, step) => stepLine(config, step));
const evaluation = (epoch: number) => ({
  epoch,
  sampleIds: Uint32Array.of(0, 1, 2, 3, 4),
  losses: Float32Array.of(1, 2, 3, 4, 5),
  predictions: Uint32Array.of(0, 1, 1, 1, 1),
  labelRanks: Uint32Array.of(0, 0, 1, 0, 5),
});
const labels = [0, 1, 0, 1, 0];

it('smooths as a weighted mean, passing over what is not finite', () => {
  const smoothed = createSmoothedLoss();
  expect(smoothed.value()).toBeNaN();
  const losses = Array.from({ length: 100 }, (_, index) => Math.sin(index) + 2);
  for (const loss of losses) {
    smoothed.add(loss);
    smoothed.add(Number.NaN);
  }
  expect(smoothed.value()).toBeCloseTo(weightedMean(losses), 12);
});

it('records an epoch in fastai’s columns', () => {
  expect(recordEpoch(config, steps, evaluation(0), labels, 0.25)).toEqual({
    epoch: 0,
    train_loss: expect.closeTo(weightedMean([2, 1, 2 / 3]), 12),
    valid_loss: 3,
    error_rate: 0.4,
    balanced_error: expect.closeTo(1 / 3, 12),
    macro_f1: expect.closeTo((1 / 2 + 2 / 3) / 2, 12),
    top5_error: 0.2,
    seconds: 1.75,
    imagesPerSecond: expect.closeTo(22 / 1.5, 12),
  });
});

it('smooths over the phase, not over the epoch or the run', () => {
  const losses = steps.slice(3).map(({ loss }) => loss!);
  const { train_loss } = recordEpoch(config, steps, evaluation(2), labels, 0);
  expect(train_loss).toBeCloseTo(weightedMean(losses), 12);
});

it('measures the criterion that training has: with class weights, a weighted mean', () => {
  const weighted = { ...config, classWeights: [1, 3] };
  const { valid_loss } = recordEpoch(weighted, steps, evaluation(0), labels, 0);
  expect(valid_loss).toBeCloseTo((1 + 2 + 3 + 4 + 5) / (1 + 3 + 1 + 3 + 1), 12);
});

it('has null where a figure is not finite', () => {
  const lost = steps.map((line) => ({ ...line, loss: null }));
  const nan = { ...evaluation(0), losses: Float32Array.of(Number.NaN, 1, 1, 1, 1) };
  expect(recordEpoch(config, lost, nan, labels, 0)).toMatchObject({ train_loss: null, valid_loss: null });
});
