/**
 * What a step keeps of the weights' moving average: `decay` in the long run, less in a run's first steps, so
 * that the average does not carry the first weights along: min(decay, (1 + k) / (10 + k)) at step k, counted
 * from 0 over the run, as TensorFlow's ExponentialMovingAverage with num_updates.
 */
export function averageDecay(decay: number, step: number): number {
  return Math.min(decay, (1 + step) / (10 + step));
}
