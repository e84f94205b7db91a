import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EpochMeasure } from '../options/run-options.js';
import type { EpochRecord } from '../run-store/epoch-record.js';
import { findBestEpoch } from './best-epoch.js';
import { nameCheckpoint } from './checkpoint-folder.js';
import { nameAgain } from './stage-checkpoint.js';

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
    const record = JSON.parse(readFileSync(join(folder, bestName, 'checkpoint.json'), 'utf8'));
    return nameCheckpoint(record);
  } catch {
    return null;
  }
}
