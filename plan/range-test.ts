import { createSmoothedLoss } from './criterion.js';
import type { PhaseConfig, Task } from './run-config.js';

export type RangeTask = Extract<Task, { kind: 'lr-find' }>;

/** fastai's `LRFinder` (callbacks/lr_finder.py) runs with its optimizer's own β1, not the cycle's. */
export const rangeTestMomentum = 0.9;

/** How many times the lowest smoothed loss so far ends the test. */
const divergence = 4;

/**
 * Learning rate of every layer group at `step` (0 … steps−1) of a range test: exponential from `from` towards
 * `to`, which fastai's `annealing_exp` would reach at the step after the last. The last group has this rate;
 * the others keep the proportions of the phase's rates.
 */
export function rangeTestRates(task: RangeTask, phase: PhaseConfig, step: number): number[] {
  const rate = rangeTestRate(task, step);
  const last = phase.learningRates.at(-1)!;
  return phase.learningRates.map((peak) => rate * (peak / last));
}

/** Of the last layer group. */
export function rangeTestRate({ from, to, steps }: RangeTask, step: number): number {
  return from * (to / from) ** (step / steps);
}

/** Follows the losses of a range test, on every rank and wherever its curve is drawn. */
export interface RangeTest {
  /** The smoothed loss with this step's, and whether the test ends with this step. */
  add(step: { readonly loss: number; readonly skipped: boolean }): { smoothed: number; diverged: boolean };
}

/**
 * fastai's rule: the test ends when the smoothed loss exceeds four times its lowest value, or is not a
 * number. A step that was skipped because its gradient is not finite would have made the next loss one that
 * is none.
 */
export function createRangeTest(): RangeTest {
  const smoothing = createSmoothedLoss();
  let best = Number.POSITIVE_INFINITY;
  return {
    add({ loss, skipped }) {
      smoothing.add(loss);
      const smoothed = smoothing.value();
      best = Math.min(best, smoothed);
      return { smoothed, diverged: skipped || !Number.isFinite(loss) || smoothed > divergence * best };
    },
  };
}
