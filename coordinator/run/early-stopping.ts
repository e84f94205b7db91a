import { countSinceBest, findBestEpoch } from '../checkpoints/best-epoch.js';
import type { EpochRecord } from '../run-store/epoch-record.js';
import type { EarlyStop } from '../telemetry/run-events.js';

/**
 * Whether a run of `planned` epochs has gone `patience` epochs without a lower validation loss; counted over all phases,
 * from the ledger alone, so that a resumed run decides as one that was never stopped.
 */
export function decideEarlyStop(
  epochs: readonly EpochRecord[],
  patience: number | null,
  planned: number,
): EarlyStop | null {
  if (patience === null || epochs.length >= planned) return null;
  if (countSinceBest(epochs, 'valid_loss') < patience) return null;
  const best = findBestEpoch(epochs, 'valid_loss');
  return { patience, bestEpoch: best?.epoch ?? null, validLoss: best?.valid_loss ?? null };
}
