import { totalSteps } from '../../plan/phases.js';
import { findBestEpoch, readBest } from '../checkpoints/best-epoch.js';
import { distinctKernels } from '../run-store/kernels.js';
import { describeError, type Ending, type Summary } from '../run-store/summary.js';
import type { PreparedRun } from './prepare-run.js';
import type { RunRecorder } from './run-recorder.js';

/** The run's summary, of what has been recorded so far. */
export function summarize(
  run: PreparedRun,
  recorder: RunRecorder,
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
    worldSize: recorder.worldSize === 0 ? runtime.workers : recorder.worldSize,
    steps: recorder.steps,
    totalSteps: totalSteps(config),
    skippedSteps: recorder.skippedSteps,
    epochs: [...recorder.epochs],
    earlyStopped: ending.earlyStopped ?? false,
    bestEpoch: findBestEpoch(recorder.epochs, training.keepBest ?? 'error_rate')?.epoch ?? null,
    bestCheckpoint: readBest(directory.checkpoints),
    parameterDigest: recorder.parameterDigest,
    quarantined,
    recoveries: resumptions + recorder.regroupings,
    kernels: distinctKernels(recorder.history.workers),
    metrics: ending.metrics,
    wallSeconds,
    error: ending.error === null ? null : describeError(ending.error),
    resume: ending.status === 'completed' ? null : resume,
    report,
  };
}
