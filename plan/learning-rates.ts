/** Early to late: [stem, layer1, layer2], [layer3, layer4], [head]. */
export const layerGroupCount = 3;

/**
 * One number: the same for every group. `{min, max}`: fastai's slice(min, max). `{max}`: fastai's slice(max).
 */
export type LearningRateSpec = number | { readonly min?: number; readonly max: number };

/**
 * Peak learning rates of the layer groups, early to late (fastai v1, `Learner.lr_range`): `{min, max}` is
 * geometric from min to max; `{max}` is max/10 for all but the last group.
 */
export function layerLearningRates(spec: LearningRateSpec, groups: number = layerGroupCount): number[] {
  if (typeof spec === 'number') return Array.from({ length: groups }, () => spec);
  const { min, max } = spec;
  const last = groups - 1;
  if (min === undefined) return Array.from({ length: groups }, (_, group) => (group < last ? max / 10 : max));
  return Array.from({ length: groups }, (_, group) =>
    group === last ? max : min * (max / min) ** (group / last),
  );
}

/**
 * Smith's one-cycle policy as fastai v1 runs it (`fastai/callbacks/one_cycle.py`): two cosine arcs over
 * `steps`.
 */
export interface OneCycle {
  readonly steps: number;
  /**
   * Where the peak is: step `warmupSteps` trains at it, or step 1 if that is 0. May be fractional. fastai's
   * is floor(.3 × steps).
   */
  readonly warmupSteps: number;
}

const startDivisor = 25;
const finalDivisor = 250_000;
const highMomentum = 0.95;
const lowMomentum = 0.85;

/**
 * Learning rate of step `step` (from 0): by cosine from peak/25 to peak, then by cosine towards peak/250,000.
 */
export function oneCycleRate(step: number, cycle: OneCycle & { readonly peak: number }): number {
  const { peak } = cycle;
  return follow(step, cycle, peak / startDivisor, peak, peak / finalDivisor);
}

/** Momentum (Adam's β1) of step `step` (from 0): .95 → .85 → .95, mirroring the learning rate. */
export function oneCycleMomentum(step: number, cycle: OneCycle): number {
  return follow(step, cycle, highMomentum, lowMomentum, highMomentum);
}

function follow(step: number, cycle: OneCycle, first: number, turn: number, last: number): number {
  const { steps, warmupSteps } = cycle;
  // fastai's arcs have at least one step each (`Scheduler`, callback.py): even the shortest cycle begins low,
  // and the step that this adds to the first arc is not taken from the second.
  const rise = warmupSteps || 1;
  const fall = Math.max(1, steps - warmupSteps);
  return step < rise ? cosine(first, turn, step / rise) : cosine(turn, last, (step - rise) / fall);
}

function cosine(start: number, end: number, fraction: number): number {
  return end + ((start - end) / 2) * (1 + Math.cos(Math.PI * fraction));
}

/**
 * What a step keeps of the weights' moving average: `decay` in the long run, less in a run's first steps, so
 * that the average does not carry the first weights along: min(decay, (1 + k) / (10 + k)) at step k, counted
 * from 0 over the run, as TensorFlow's ExponentialMovingAverage with num_updates.
 */
export function averageDecay(decay: number, step: number): number {
  return Math.min(decay, (1 + step) / (10 + step));
}
