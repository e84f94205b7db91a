/**
 * What training minimises and validation measures, mixup aside: PyTorch's CrossEntropyLoss(weight,
 * label_smoothing).
 */
export interface Criterion {
  /** Share of a label's weight that is spread evenly over all classes. */
  readonly labelSmoothing: number;
  /** By class, above 0; null for all 1. */
  readonly classWeights: readonly number[] | null;
}

/**
 * The loss of one sample with label y: (1 − s) w[y] (−log p[y]) + s / classes · Σ_c w[c] (−log p[c]).
 *
 * @param probabilities by class
 */
export function sampleLoss(
  probabilities: ArrayLike<number>,
  label: number,
  { labelSmoothing, classWeights }: Criterion,
): number {
  const weighed = (k: number) => -Math.log(probabilities[k]!) * (classWeights?.[k] ?? 1);
  const own = weighed(label);
  if (labelSmoothing === 0) return own;
  let all = 0;
  for (let k = 0; k < probabilities.length; k += 1) all += weighed(k);
  return (1 - labelSmoothing) * own + (labelSmoothing / probabilities.length) * all;
}

/**
 * The mean of samples' losses: over their number, or over the sum of their labels' weights. NaN of nothing.
 */
export function meanLoss(
  losses: ArrayLike<number>,
  labels: ArrayLike<number>,
  classWeights: Criterion['classWeights'],
): number {
  let [sum, weight] = [0, 0];
  for (let index = 0; index < losses.length; index += 1) {
    sum += losses[index]!;
    weight += classWeights?.[labels[index]!] ?? 1;
  }
  return sum / weight;
}

const beta = 0.98;

/** An exponentially weighted mean, corrected for its start at zero. */
export interface SmoothedLoss {
  /** Values that are not finite are passed over. */
  add(loss: number): void;
  /** NaN before the first value. */
  value(): number;
}

/** fastai's `SmoothenValue(beta=.98)` (callback.py). */
export function createSmoothedLoss(): SmoothedLoss {
  let mean = 0;
  let count = 0;
  return {
    add(loss) {
      if (!Number.isFinite(loss)) return;
      mean = beta * mean + (1 - beta) * loss;
      count += 1;
    },
    value: () => (count === 0 ? Number.NaN : mean / (1 - beta ** count)),
  };
}
