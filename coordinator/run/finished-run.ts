import { totalSteps } from '../../plan/phases.js';
import { findNewestCheckpoint } from '../checkpoints/checkpoint-folder.js';
import type { StartConfig } from '../options/start-config.js';
import {
  findRunDirectory,
  type RunDirectory,
  type RunRecord,
  readRunRecord,
} from '../run-store/run-directory.js';
import { readSummary, type Summary } from '../run-store/summary.js';
import { requireSame } from './recorded-options.js';

/** There is nothing left to do. */
export interface FinishedRun {
  readonly kind: 'finished';
  readonly directory: RunDirectory;
  readonly summary: Summary;
}

/**
 * The run if it is finished, without taking it up; null where there is something left to do.
 *
 * @throws RondoError as `resumeRun` does.
 */
export async function findFinished({
  run,
  runtime,
  given,
}: Extract<StartConfig, { kind: 'resume' }>): Promise<FinishedRun | null> {
  const directory = findRunDirectory(run, runtime.runDir);
  const summary = await readSummary(directory);
  if (summary?.status !== 'completed') return null;
  const record = readRunRecord(directory);
  requireSame(given, record);
  const checkpoint = await findNewestCheckpoint(directory.checkpoints, () => {});
  const finished = isFinished(summary, checkpoint?.record.step ?? 0, record);
  return finished ? { kind: 'finished', directory, summary } : null;
}

/** @param step of the newest checkpoint: a completed run whose last one is gone is trained on from before it. */
export function isFinished({ status, earlyStopped }: Summary, step: number, { config }: RunRecord): boolean {
  return status === 'completed' && (earlyStopped || step === totalSteps(config));
}
