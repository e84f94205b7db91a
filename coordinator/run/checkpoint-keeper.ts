import { join } from 'node:path';
import { createLatestQueue, type LatestQueue } from '../../runtime/latest-queue.js';
import { markBest } from '../checkpoints/best-checkpoint.js';
import { findBestEpoch } from '../checkpoints/best-epoch.js';
import { writeCheckpoint } from '../checkpoints/checkpoint-file.js';
import { nameCheckpoint, pruneCheckpoints } from '../checkpoints/checkpoint-folder.js';
import { nameAgain, nameStage } from '../checkpoints/stage-checkpoint.js';
import type { EpochEnd } from '../membership/cluster-events.js';
import type { EpochRecord } from '../run-store/epoch-record.js';
import type { LineFile } from '../run-store/line-file.js';
import type { RunEvent } from '../telemetry/run-events.js';
import type { PreparedRun } from './prepare-run.js';
import { digestRunConfig } from './run-config.js';
import type { MetricsCollector, RunServices } from './services.js';

/** A state to save. */
export interface SavedEnd extends EpochEnd {
  /** Its phase ends with it, earlier than planned. */
  readonly endsPhase: boolean;
}

export interface CheckpointKeeperOptions {
  readonly run: PreparedRun;
  readonly pullState: RunServices['pullState'];
  /** The run's. */
  readonly token: string;
  readonly ledger: LineFile;
  /** The epochs that have ended so far. */
  epochs(): readonly EpochRecord[];
  report(event: RunEvent): void;
  readonly publish: MetricsCollector['publish'];
}

/**
 * Saves complete states in the background, as many as there is time for: the newest always, the end of a
 * frozen phase and the best epoch unless a better one comes first.
 */
export function keepCheckpoints(o: CheckpointKeeperOptions): LatestQueue<SavedEnd> {
  const { config, training } = o.run;
  const isBest = (end: EpochEnd) =>
    training.keepBest !== null &&
    end.whole &&
    findBestEpoch(o.epochs(), training.keepBest)?.epoch === end.epoch;
  return createLatestQueue<SavedEnd>(
    (end, signal) => saveCheckpoint(end, signal, o),
    (end) => end.endsPhase || nameStage(config, end) !== null || isBest(end),
    (end, error) =>
      o.report({ kind: 'warning', text: `${nameCheckpoint(end)} was not saved: ${error.message}` }),
  );
}

async function saveCheckpoint(end: SavedEnd, signal: AbortSignal, o: CheckpointKeeperOptions): Promise<void> {
  const { config, training, directory } = o.run;
  const { header, values } = await o.pullState(end.holderAddress, { ...end, token: o.token, signal });
  // A checkpoint promises the steps before it: they must be on the disk first.
  o.ledger.sync();
  // `stage-N` first: after a crash between the two, a run resumed from the epoch's checkpoint would never
  // write it.
  const names = [nameStage(config, end) ?? [], nameCheckpoint(end)].flat();
  const [path, ...otherPaths] = names.map((name) => join(directory.checkpoints, name));
  await writeCheckpoint(path!, { ...end, header, values, runConfigDigest: digestRunConfig(config) });
  for (const other of otherPaths) await nameAgain(path!, other);
  if (training.keepBest !== null) await markBest(directory.checkpoints, o.epochs(), training.keepBest);
  for (const name of names) {
    o.report({ kind: 'checkpoint', name, step: end.step });
    o.publish({ kind: 'event', event: 'checkpoint', detail: name, step: end.step });
  }
  await pruneCheckpoints(directory.checkpoints, o.epochs(), training.keepBest ?? undefined);
}
