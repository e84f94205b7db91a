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
