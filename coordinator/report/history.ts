import { stepsPerEpoch, totalEpochs } from '../../plan/phases.js';
import type { RunConfig } from '../../plan/run-config.js';
import { createSmoothedLoss } from '../../plan/smoothed-loss.js';
import type { History } from '../run-store/epoch-record.js';
import type { Point } from './charts/lines.js';

/** Over epochs: x is 1 at the end of the first. A point that is NaN interrupts its line. */
export interface LearningCurves {
  /** Of single steps, or of a few steps each when there are many. */
  readonly trainLoss: readonly Point[];
  /** Smoothed as in the table of epochs: it begins anew with each phase. */
  readonly smoothedLoss: readonly Point[];
  readonly validLoss: readonly Point[];
  readonly errorRate: readonly Point[];
}

/** More points than that are not told apart in a chart. */
export const mostPoints = 500;

export function learningCurves(
  config: RunConfig,
  { steps, epochs }: Omit<History, 'workers'>,
): LearningCurves {
  const perEpoch = stepsPerEpoch(config);
  const stride = Math.max(1, Math.ceil(steps.length / mostPoints));
  const starts = new Set(phaseStarts(config));
  const [trainLoss, smoothedLoss]: [Point[], Point[]] = [[], []];
  let smoothed = createSmoothedLoss();
  let recent: number[] = [];
  for (const [index, { step, loss }] of steps.entries()) {
    if (step > 0 && step % perEpoch === 0 && starts.has(step / perEpoch)) {
      smoothed = createSmoothedLoss();
      smoothedLoss.push({ x: Number.NaN, y: Number.NaN });
    }
    smoothed.add(loss ?? Number.NaN);
    if (loss !== null) recent.push(loss);
    if ((index + 1) % stride > 0 && index + 1 < steps.length) continue;
    const x = (step + 1) / perEpoch;
    trainLoss.push({ x, y: mean(recent) });
    smoothedLoss.push({ x, y: smoothed.value() });
    recent = [];
  }
  const ofEpochs = (key: 'valid_loss' | 'error_rate') =>
    epochs.map((record) => ({ x: record.epoch + 1, y: record[key] ?? Number.NaN }));
  return { trainLoss, smoothedLoss, validLoss: ofEpochs('valid_loss'), errorRate: ofEpochs('error_rate') };
}

/** The epoch that each phase begins with. */
export function phaseStarts({ phases }: RunConfig): number[] {
  return phases.map((_, index) => phases.slice(0, index).reduce((sum, { epochs }) => sum + epochs, 0));
}

/** Epochs along the axis: those of the plan. */
export function epochSpan(config: RunConfig): readonly [number, number] {
  return [0, Math.max(1, totalEpochs(config))];
}

/** NaN of nothing. */
function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
