import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EpochMeasure } from '../options/run-options.js';
import type { EpochRecord } from '../run-store/epoch-record.js';
import { parseCheckpointRecord } from './checkpoint-file.js';
import { nameAgain, nameCheckpoint } from './checkpoint-names.js';

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

/** The second name of the best epoch's checkpoint, in the folder of checkpoints. */
export const bestName = 'best';

/**
 * Gives the best of those epochs whose checkpoint is kept its second name; nothing when it has it already.
 */
export async function markBest(
  folder: string,
  epochs: readonly EpochRecord[],
  measure: EpochMeasure,
): Promise<void> {
  const nameOf = ({ epoch }: EpochRecord) => nameCheckpoint({ epoch, step: 0, whole: true });
  const best = findBestEpoch(
    epochs.filter((epoch) => existsSync(join(folder, nameOf(epoch)))),
    measure,
  );
  if (best === null || nameOf(best) === readBest(folder)) return;
  await nameAgain(join(folder, nameOf(best)), join(folder, bestName));
}

/** The first name of the checkpoint that is marked as best; null when none is. */
export function readBest(folder: string): string | null {
  try {
    const file = join(folder, bestName, 'checkpoint.json');
    return nameCheckpoint(parseCheckpointRecord(readFileSync(file, 'utf8'), file));
  } catch {
    return null;
  }
}
