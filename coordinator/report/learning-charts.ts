import { createSmoothedLoss } from '../../plan/criterion.js';
import { stepsPerEpoch } from '../../plan/micro-batches.js';
import { totalEpochs } from '../../plan/phases.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { History } from '../run-store/epoch-record.js';
import type { Point } from './charts/lines.js';
import { linearScale, niceDomain } from './charts/scales.js';
import { seriesColors } from './charts/svg.js';
import type { Panel } from './panel.js';

const [blue, orange] = seriesColors;
const mostEpochTicks = 10;

/** Loss in training and validation, and the error rate. */
export function learningPanels(config: RunConfig, history: History): Panel[] {
  const { trainLoss, smoothedLoss, validLoss, errorRate } = learningCurves(config, history);
  const common = { x: epochAxis(config), marks: phaseMarks(config) };
  const heights = [...smoothedLoss, ...validLoss].map(({ y }) => y);
  const lossDomain = niceDomain([0, ...heights, typicalPeak(trainLoss.map(({ y }) => y))]);
  return [
    {
      ...common,
      id: 'loss',
      title: 'Loss',
      yLabel: 'cross-entropy',
      y: (range) => linearScale(lossDomain, range),
      series: [
        { name: 'training, each step', points: trainLoss, color: blue, width: 1, opacity: 0.35 },
        { name: 'training, smoothed', points: smoothedLoss, color: blue },
        { name: 'validation', points: validLoss, color: orange, dots: true },
      ],
    },
    {
      ...common,
      id: 'error-rate',
      title: 'Error rate in validation',
      yLabel: 'share of images',
      y: (range) => linearScale(niceDomain([0, ...errorRate.map(({ y }) => y)]), range),
      series: [{ name: 'error rate', points: errorRate, color: orange, dots: true }],
    },
  ];
}

/** Epochs along the axis: those of the plan. */
export function epochAxis(config: RunConfig): Panel['x'] {
  const epochs = Math.max(1, totalEpochs(config));
  return (range) => linearScale([0, epochs], range, Math.min(mostEpochTicks, epochs));
}

/** Where phases begin, when there are several. */
export function phaseMarks(config: RunConfig): Panel['marks'] {
  if (config.phases.length === 1) return [];
  return phaseStarts(config).map((x, index) => ({ x, name: config.phases[index]!.name }));
}

/** What all but a few of the values stay below: single steps may jump high, and would press the rest flat. */
function typicalPeak(values: readonly number[]): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  return sorted[Math.floor(0.98 * (sorted.length - 1))] ?? Number.NaN;
}

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
function phaseStarts({ phases }: RunConfig): number[] {
  return phases.map((_, index) => phases.slice(0, index).reduce((sum, { epochs }) => sum + epochs, 0));
}

/** NaN of nothing. */
function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
