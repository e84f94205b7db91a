import type { EpochMeasure } from '../options/start-schema.js';
import type { EpochRecord } from '../run-store/epoch-record.js';

/** The epoch with the lowest measure, the earliest of equals; null when none could be measured. */
export function findBestEpoch<E extends Pick<EpochRecord, EpochMeasure>>(
  epochs: readonly E[],
  measure: EpochMeasure,
): E | null {
  let best: E | null = null;
  for (const epoch of epochs) {
    const value = epoch[measure];
    if (value !== null && value < (best?.[measure] ?? Number.POSITIVE_INFINITY)) best = epoch;
  }
  return best;
}

/** How many epochs have passed since the best one; all of them when none could be measured. */
export function countSinceBest(epochs: readonly EpochRecord[], measure: EpochMeasure): number {
  const best = findBestEpoch(epochs, measure);
  return best === null ? epochs.length : epochs.length - 1 - epochs.indexOf(best);
}
