import type { PhaseConfig } from '../../plan/run-config.js';
import { countSinceBest, findBestEpoch } from '../checkpoints/best-epoch.js';
import type { EpochRecord } from '../run-store/epoch-record.js';
import type { EarlyStop } from '../telemetry/run-events.js';

/**
 * Whether the phase of the last of `epochs`, which is not the phase's last one, has gone `patience` epochs
 * without a lower validation loss. Like fastai's callback it looks at one fit alone. Decided from the
 * ledger's epochs, so that a resumed run decides as one that was never stopped.
 */
export function decideEarlyStop(
  epochs: readonly EpochRecord[],
  patience: number | null,
  phases: readonly PhaseConfig[],
): EarlyStop | null {
  const last = epochs.at(-1);
  if (patience === null || last === undefined) return null;
  let firstEpoch = 0;
  const index = phases.findIndex((phase) => {
    const within = last.epoch < firstEpoch + phase.epochs;
    if (!within) firstEpoch += phase.epochs;
    return within;
  });
  const phase = phases[index]!;
  if (last.epoch === firstEpoch + phase.epochs - 1) return null;
  const own = epochs.filter(({ epoch }) => epoch >= firstEpoch);
  if (countSinceBest(own, 'valid_loss') < patience) return null;
  const best = findBestEpoch(own, 'valid_loss');
  return {
    phase: phase.name,
    nextPhase: phases[index + 1]?.name ?? null,
    epoch: last.epoch,
    patience,
    bestEpoch: best?.epoch ?? null,
    validLoss: best?.valid_loss ?? null,
  };
}
