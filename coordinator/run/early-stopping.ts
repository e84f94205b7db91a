import { countSinceBest, findBestEpoch } from './best-epoch.js';
import type { EpochRecord } from './epoch-record.js';

/** Why a run ends before its last epoch. */
export interface EarlyStop {
  /** Epochs without a lower validation loss. */
  readonly patience: number;
  /** Null when no epoch's loss was finite. */
  readonly bestEpoch: number | null;
  readonly validLoss: number | null;
}

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
