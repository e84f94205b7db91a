import { totalSteps } from '../../plan/phases.js';
import { readBest } from '../checkpoints/best-checkpoint.js';
import { findBestEpoch } from '../checkpoints/best-epoch.js';
import { distinctKernels } from '../run-store/kernels.js';
import { describeError, type Ending, type Summary } from '../run-store/summary.js';
import type { PreparedRun } from './prepare-run.js';
import type { Bookkeeper } from './run-recorder.js';

/** A run's summary as its books stand. */
export function summarize(
  run: PreparedRun,
  books: Bookkeeper,
  ending: Ending,
  { wallSeconds, resume, report }: { wallSeconds: number; resume: string; report: string | null },
): Summary {
  const { config, training, dataset, directory, quarantined, resumptions, runtime } = run;
  return {
    status: ending.status,
    runId: config.runId,
    directory: directory.path,
    arch: config.arch,
    classes: dataset.classes,
    counts: { train: config.trainCount, valid: config.validCount, quarantined: quarantined.length },
    worldSize: books.worldSize === 0 ? runtime.workers : books.worldSize,
    steps: books.steps,
    totalSteps: totalSteps(config),
    skippedSteps: books.skippedSteps,
    epochs: [...books.epochs],
    earlyStopped: ending.earlyStopped ?? false,
    bestEpoch: findBestEpoch(books.epochs, training.keepBest ?? 'error_rate')?.epoch ?? null,
    bestCheckpoint: readBest(directory.checkpoints),
    parameterDigest: books.parameterDigest,
    quarantined,
    recoveries: resumptions + books.regroupings,
    kernels: distinctKernels(books.history.workers),
    metrics: ending.metrics,
    wallSeconds,
    error: ending.error === null ? null : describeError(ending.error),
    resume: ending.status === 'completed' ? null : resume,
    report,
  };
}
