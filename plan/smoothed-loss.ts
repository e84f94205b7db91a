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
