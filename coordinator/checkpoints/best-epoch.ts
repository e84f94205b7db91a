import type { EpochMeasure } from '../options/run-options.js';
import type { EpochRecord } from '../run-store/epoch-record.js';

/** The epoch that is best by the measure, the earliest of equals; null when none could be measured. */
export function findBestEpoch<M extends EpochMeasure, E extends Pick<EpochRecord, M>>(
  epochs: readonly E[],
  measure: M,
): E | null {
  let [best, least]: [E | null, number] = [null, Number.POSITIVE_INFINITY];
  for (const epoch of epochs) {
    const value: number | null = epoch[measure];
    if (value === null) continue;
    const cost = measure === 'macro_f1' ? -value : value;
    if (cost < least) [best, least] = [epoch, cost];
  }
  return best;
}

/** How many epochs have passed since the best one; all of them when none could be measured. */
export function countSinceBest(epochs: readonly EpochRecord[], measure: EpochMeasure): number {
  const best = findBestEpoch(epochs, measure);
  return best === null ? epochs.length : epochs.length - 1 - epochs.indexOf(best);
}
