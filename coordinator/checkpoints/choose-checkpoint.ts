import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { nearestName } from '../../runtime/nearest-name.js';
import { type EpochLine, readLedger, settleLedger } from '../run-store/ledger.js';
import type { RunDirectory } from '../run-store/run-directory.js';
import { bestName, findBestEpoch } from './best-epoch.js';
import { type Checkpoint, readCheckpointRecord, verifyCheckpoint } from './checkpoint-file.js';
import { findNewestCheckpoint } from './checkpoint-folder.js';
import { nameCheckpoint } from './checkpoint-names.js';

/** A checkpoint to use a run's network from, its bytes checked. */
export interface ChosenCheckpoint extends Checkpoint {
  readonly name: string;
  /** Its file of tensors. */
  readonly state: string;
  /** What was measured at the end of its epoch; null for a state inside one, or one that was not measured. */
  readonly epoch: EpochLine | null;
  /** Of the steps before it, how many changed nothing, because the loss or a gradient was not finite. */
  readonly skippedSteps: number;
}

/**
 * The checkpoint called `name`; without a name, the one marked as best, else the one with the lowest error
 * rate if it is kept, else the newest. Throws not-found when there is none (with the nearest name), data-loss
 * when its bytes are not what was written.
 */
export async function chooseCheckpoint(
  directory: RunDirectory,
  name: string | undefined,
): Promise<ChosenCheckpoint> {
  const { steps, epochs } = await settleLedger(
    existsSync(directory.ledger) ? readLedger(directory.ledger) : [],
  );
  const checkpoint =
    name === undefined ? await findBest(directory, epochs) : await findNamed(directory, name);
  const epoch = epochs.find(({ step }) => step === checkpoint.record.step && checkpoint.record.whole);
  return {
    ...checkpoint,
    name: basename(checkpoint.path),
    state: join(checkpoint.path, 'state.safetensors'),
    epoch: epoch ?? null,
    skippedSteps: steps.filter(({ step, skipped }) => skipped && step < checkpoint.record.step).length,
  };
}

/** A warning that steps were skipped in training, for those who use the network; null when none was. */
export function describeSkipped({ name, record, skippedSteps }: ChosenCheckpoint): string | null {
  if (skippedSteps === 0) return null;
  return (
    `${skippedSteps} of the ${record.step} steps before ${name} were skipped: their loss or a gradient was not finite, ` +
    'so the network may not be worth much'
  );
}

async function findBest(
  { checkpoints, runId }: RunDirectory,
  epochs: readonly EpochLine[],
): Promise<Checkpoint> {
  if (existsSync(join(checkpoints, bestName))) return readWhole(join(checkpoints, bestName));
  const best = findBestEpoch(epochs, 'error_rate');
  if (best !== null) {
    const path = join(checkpoints, nameCheckpoint({ epoch: best.epoch, step: best.step, whole: true }));
    if (existsSync(path)) return readWhole(path);
  }
  const refuse = (damage: RondoError) => {
    const remedy = 'name another one with --checkpoint';
    throw new RondoError(damage.code, damage.message, { remedy, cause: damage });
  };
  const newest = existsSync(checkpoints) ? await findNewestCheckpoint(checkpoints, refuse) : null;
  if (newest !== null) return newest;
  throw new RondoError('not-found', `run ${runId} has no checkpoint yet`, {
    remedy: 'a run writes one at the end of each epoch, and when it is stopped',
  });
}

async function findNamed({ checkpoints, runId }: RunDirectory, name: string): Promise<Checkpoint> {
  const names = existsSync(checkpoints) ? await listNames(checkpoints) : [];
  if (names.includes(name)) return readWhole(join(checkpoints, name));
  const nearest = nearestName(name, names);
  throw new RondoError('not-found', `run ${runId} has no checkpoint ${name}`, {
    remedy: nearest === null ? `it has ${names.join(', ') || 'none'}` : `did you mean ${nearest}?`,
  });
}

async function listNames(checkpoints: string): Promise<string[]> {
  return (await readdir(checkpoints)).filter((entry) => !entry.startsWith('.')).sort();
}

async function readWhole(path: string): Promise<Checkpoint> {
  const checkpoint = await readCheckpointRecord(path);
  await verifyCheckpoint(checkpoint);
  return checkpoint;
}
