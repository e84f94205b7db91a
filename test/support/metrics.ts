import type { StepMetric } from '../../proto/metrics.js';

/** What rank 0 tells of a step. */
export function stepMetric(runId: string, step: number): StepMetric {
  return {
    ...{ kind: 'step', runId, step, epoch: 0, loss: 1.5, samples: 8, correct: 3, skipped: false },
    ...{ learningRates: [1e-4, 1e-4, 1e-3], momentum: 0.95, generation: 1, worldSize: 2, seconds: 0.25 },
  };
}
