import type { RunConfig } from '../../plan/run-config.js';
import type { History } from '../run-store/epoch-record.js';
import { linearScale, niceDomain } from './charts/scales.js';
import { seriesColors } from './charts/style.js';
import { epochSpan, learningCurves, phaseStarts } from './history.js';
import type { Panel } from './panel.js';

const [blue, orange] = seriesColors;
const widestEpochTicks = 10;

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

export function epochAxis(config: RunConfig): Panel['x'] {
  const [from, to] = epochSpan(config);
  return (range) => linearScale([from, to], range, Math.min(widestEpochTicks, to));
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
