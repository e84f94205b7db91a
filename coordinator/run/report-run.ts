import assert from 'node:assert/strict';
import { RondoError } from '../../runtime/errors.js';
import type { EvaluationResult } from '../membership/cluster-events.js';
import { evaluateCheckpoint } from './evaluate-checkpoint.js';
import type { OperateContext } from './operate-cluster.js';
import type { PreparedRun } from './prepare-run.js';
import type { RunRecorder } from './run-recorder.js';
import type { RunServices } from './services.js';

interface ReportContext extends OperateContext {
  readonly services: OperateContext['services'] & Pick<RunServices, 'writeReport'>;
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
      root: dataset.validRoot ?? dataset.root,
      valid: dataset.valid,
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
  { config, dataset, checkpoint, runtime }: PreparedRun,
  context: ReportContext,
): Promise<EvaluationResult> {
  assert(checkpoint !== null, 'a run that trained nothing has a checkpoint');
  const workers = Math.max(1, runtime.localWorkers);
  const task = { config, dataset, checkpoint, workers, threads: runtime.threads, tta: false };
  return evaluateCheckpoint(task, context);
}
