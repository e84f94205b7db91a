export interface Quantiles {
  readonly p10: number;
  readonly median: number;
  readonly p90: number;
}

export function quantilesOf(values: readonly number[]): Quantiles {
  return { p10: quantile(values, 0.1), median: quantile(values, 0.5), p90: quantile(values, 0.9) };
}

/** With linear interpolation between neighbours, as numpy's default. */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = fraction * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}
