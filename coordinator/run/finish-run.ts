import assert from 'node:assert/strict';
import { totalSteps } from '../../plan/phases.js';
import { RondoError } from '../../runtime/errors.js';
import { findBestEpoch, readBest } from '../checkpoints/best-epoch.js';
import { findNewestCheckpoint } from '../checkpoints/checkpoint-folder.js';
import type { EvaluationResult } from '../membership/cluster-events.js';
import { distinctKernels } from '../run-store/ledger.js';
import { describeError, type Ending, type Summary } from '../run-store/summary.js';
import { evaluateCheckpoint } from './evaluate-checkpoint.js';
import type { PreparedRun } from './prepare-run.js';
import type { RunRecorder } from './run-recorder.js';
import type { TaskContext } from './run-task.js';
import type { RunServices } from './services.js';

/** The run's summary, of what has been recorded so far. */
export function summarize(
  run: PreparedRun,
  recorder: RunRecorder,
  ending: Ending,
  { wallSeconds, resume, report }: { wallSeconds: number; resume: string; report: string | null },
): Summary {
  const { config, training, dataset, directory, quarantined, runtime } = run;
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
    recoveries: recorder.recoveries,
    kernels: distinctKernels(recorder.history.workers),
    metrics: ending.metrics,
    wallSeconds,
    error: ending.error === null ? null : describeError(ending.error),
    resume: ending.status === 'completed' ? null : resume,
    report,
  };
}

interface ReportContext extends TaskContext {
  readonly services: TaskContext['services'] & Pick<RunServices, 'writeReport'>;
}

/**
 * Writes the report of a completed run from its newest evaluation and returns the path of its page. A run that
 * was resumed with nothing left to train has none, so its checkpoint is evaluated. An error is only a warning,
 * and then the path is null: the run itself is complete.
 */
export async function reportRun(
  run: PreparedRun,
  { history, newestEvaluation }: RunRecorder,
  context: ReportContext,
): Promise<string | null> {
  const { directory, dataset } = run;
  try {
    const evaluation = newestEvaluation ?? (await evaluateEnd(run, context));
    return await context.services.writeReport({
      directory,
      history,
      dataset,
      evaluation,
      origin: `after epoch ${evaluation.epoch + 1}`,
    });
  } catch (thrown) {
    const text = `the report could not be written: ${RondoError.from(thrown).message}`;
    context.report({ kind: 'warning', text });
    return null;
  }
}

async function evaluateEnd(
  { config, dataset, directory, runtime }: PreparedRun,
  context: ReportContext,
): Promise<EvaluationResult> {
  const checkpoint = await findNewestCheckpoint(directory.checkpoints, () => {});
  assert(checkpoint !== null, 'a run that trained nothing has a checkpoint');
  const workers = Math.max(1, runtime.localWorkers);
  const task = { config, dataset, checkpoint, workers, tta: false };
  return evaluateCheckpoint(task, context);
}
