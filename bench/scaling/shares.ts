import type { WorkerStepMetric } from '../../proto/metrics.js';
import { smallest } from '../../runtime/extremes.js';
import { warmUpSteps } from './speeds.js';

/** What a share is worked out from; seconds. */
export type WorkerStep = Pick<
  WorkerStepMetric,
  'step' | 'rank' | 'waitData' | 'gradients' | 'ring' | 'ringExposed' | 'apply'
>;

/** Where the time of a run's steps went, as shares of it. They add up to 1, but for `ringHidden`. */
export interface Shares {
  readonly waitData: number;
  /** Hand-over of the reduction vector to the ring included. */
  readonly gradients: number;
  /** From one rank's last gradient to that of the slowest: nobody's ring could be done before. */
  readonly waitRanks: number;
  /** From the slowest rank's last gradient to the last sum. */
  readonly ringExposed: number;
  /** Hand-over of the sum to TensorFlow, its check, and the update. */
  readonly apply: number;
  /** In which the ring was at work, or waited, while gradients were computed. */
  readonly ringHidden: number;
}

/** Over all ranks and all steps but the first ones. @throws Error when there are no more. */
export function sharesOf(steps: readonly WorkerStep[]): Shares {
  const counted = steps.filter(({ step }) => step >= warmUpSteps);
  const stepNumbers = new Set(counted.map(({ step }) => step));
  const sums = { waitData: 0, gradients: 0, waitRanks: 0, ringExposed: 0, apply: 0, ringHidden: 0 };
  let total = 0;
  for (const number of stepNumbers) {
    const ranks = counted.filter(({ step }) => step === number);
    // The rank that waits least was the last one to have its gradients: what it waits for is the ring alone.
    const ownWait = smallest(ranks.map(({ ringExposed }) => ringExposed));
    for (const { waitData, gradients, ring, ringExposed, apply } of ranks) {
      sums.waitData += waitData;
      sums.gradients += gradients;
      sums.waitRanks += ringExposed - ownWait;
      sums.ringExposed += ownWait;
      sums.apply += apply;
      sums.ringHidden += ring - ringExposed;
      total += waitData + gradients + ringExposed + apply;
    }
  }
  if (total === 0) throw new Error(`no step after the first ${warmUpSteps} was reported`);
  const shares = Object.entries(sums).map(([name, seconds]) => [name, seconds / total]);
  return Object.fromEntries(shares) as unknown as Shares;
}
