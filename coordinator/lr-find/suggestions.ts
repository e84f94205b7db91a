/** One step of a range test. */
export interface RatePoint {
  /** From 0. */
  readonly step: number;
  /** Of the last layer group. */
  readonly learningRate: number;
  /** Of the step's batch; null when it is not finite. */
  readonly loss: number | null;
  /** Smoothed up to this step; null before the first finite loss. */
  readonly smoothed: number | null;
}

/** A learning rate, and the step of the test that it was read off. */
export interface Suggestion {
  readonly learningRate: number;
  readonly step: number;
}

export interface Suggestions {
  /** Where the smoothed loss falls fastest from step to step. */
  readonly steepest: Suggestion;
  /** A tenth of the rate at which the smoothed loss is lowest. */
  readonly minimumTenth: Suggestion;
}

/** fastai leaves out the start, where the smoothing is still rough, and the end, where the loss explodes. */
const skippedAtStart = 10;
const skippedAtEnd = 5;

/** The points that are plotted and that suggestions are read off. */
export function trimCurve(points: readonly RatePoint[]): readonly RatePoint[] {
  return points.slice(skippedAtStart, Math.max(skippedAtStart, points.length - skippedAtEnd));
}

/**
 * fastai's two suggestions (`Recorder.plot`, basic_train.py); null when fewer than two points are left of the
 * curve.
 */
export function suggestRates(points: readonly RatePoint[]): Suggestions | null {
  const curve = trimCurve(points).filter(({ smoothed }) => smoothed !== null);
  if (curve.length < 2) return null;
  const losses = curve.map(({ smoothed }) => smoothed!);
  const steepest = curve[indexOfLeast(gradientOf(losses))]!;
  const lowest = curve[indexOfLeast(losses)]!;
  return {
    steepest: { learningRate: steepest.learningRate, step: steepest.step },
    minimumTenth: { learningRate: lowest.learningRate / 10, step: lowest.step },
  };
}

/** As numpy.gradient: central differences, one-sided at both ends. */
function gradientOf(values: readonly number[]): number[] {
  const last = values.length - 1;
  return values.map((_, index) => {
    const [before, after] = [Math.max(0, index - 1), Math.min(last, index + 1)];
    return (values[after]! - values[before]!) / (after - before);
  });
}

/** The first of them. */
function indexOfLeast(values: readonly number[]): number {
  return values.indexOf(values.reduce((least, value) => Math.min(least, value)));
}
