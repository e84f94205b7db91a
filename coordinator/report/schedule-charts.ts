import { layerGroupCount } from '../../plan/learning-rates.js';
import { stepsPerEpoch } from '../../plan/micro-batches.js';
import { planRates, totalSteps } from '../../plan/phases.js';
import type { RunConfig } from '../../plan/run-config.js';
import { largest, smallest } from '../../runtime/extremes.js';
import type { Point } from './charts/lines.js';
import { linearScale, logarithmicScale, niceDomain } from './charts/scales.js';
import { seriesColors } from './charts/svg.js';
import { epochAxis, mostPoints, phaseMarks } from './learning-charts.js';
import type { Panel } from './panel.js';

const [blue, orange, green, purple] = seriesColors;
const groupNames = ['stem to layer 2', 'layers 3 and 4', 'head'];
const groupColors = [green, purple, blue];
/** Peaks further apart than that cannot be seen together along a linear axis. */
const linearSpan = 20;
/**
 * The cycles end far below any rate that matters; a logarithmic axis follows them so far below the lowest
 * peak.
 */
const shownDecades = 1 / 1000;

/** Learning rate of each layer group and momentum, as planned. */
export function schedulePanels(config: RunConfig): Panel[] {
  const steps = sampledSteps(config);
  const perEpoch = stepsPerEpoch(config);
  const rates = steps.map((step) => ({ x: step / perEpoch, ...planRates(config, step) }));
  const common = { x: epochAxis(config), marks: phaseMarks(config) };
  const peaks = config.phases.flatMap(({ learningRates }) => learningRates);
  const [lowest, highest] = [smallest(peaks), largest(peaks)];
  const ofGroup = (group: number): Point[] =>
    rates.map(({ x, learningRates }) => ({ x, y: learningRates[group]! }));
  return [
    {
      ...common,
      id: 'learning-rate',
      title: 'Learning rate',
      yLabel: '',
      y: (range) =>
        highest / lowest > linearSpan
          ? logarithmicScale([lowest * shownDecades, 10 ** Math.ceil(Math.log10(highest))], range)
          : linearScale(niceDomain([0, highest]), range),
      series: rateSeries(config, ofGroup),
    },
    {
      ...common,
      id: 'momentum',
      title: 'Momentum',
      yLabel: "Adam's β1",
      y: (range) => linearScale([0.84, 0.96], range),
      series: [
        { name: 'momentum', points: rates.map(({ x, momentum }) => ({ x, y: momentum })), color: orange },
      ],
    },
  ];
}

function rateSeries({ phases }: RunConfig, ofGroup: (group: number) => Point[]): Panel['series'] {
  const same = phases.every(({ learningRates }) => new Set(learningRates).size === 1);
  if (same) return [{ name: 'all layers', points: ofGroup(0), color: blue }];
  return Array.from({ length: layerGroupCount }, (_, group) => ({
    name: groupNames[group]!,
    points: ofGroup(group),
    color: groupColors[group]!,
    // Where groups share a rate, the last drawn must not hide the others.
    width: 2 + 1.5 * (layerGroupCount - 1 - group),
  }));
}

/** First and last step among them; evenly spread, when there are many. */
function sampledSteps(config: RunConfig): number[] {
  const last = totalSteps(config) - 1;
  const count = Math.min(last + 1, mostPoints);
  return Array.from({ length: count }, (_, index) => Math.round((index * last) / Math.max(1, count - 1)));
}
