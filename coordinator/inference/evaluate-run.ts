import type { Dataset } from '../../proto/dataset.js';
import { type ChosenCheckpoint, chooseCheckpoint } from '../checkpoints/choose-checkpoint.js';
import type { EvaluationResult } from '../membership/cluster-events.js';
import { evaluateCheckpoint } from '../run/evaluate-checkpoint.js';
import { indexRecordedData, type Places } from '../run/recorded-data.js';
import type { TaskContext } from '../run/run-task.js';
import type { RunServices } from '../run/services.js';
import { type RunDirectory, readRunRecord } from '../run-store/run-directory.js';

export interface EvaluateRunOptions extends TaskContext {
  readonly directory: RunDirectory;
  /** Local workers that share the validation set. */
  readonly workers: number;
  /** With test-time augmentation; without, unless given. */
  readonly tta?: boolean;
  /** A checkpoint's name; without it, the one with the lowest error rate if it is kept, else the newest. */
  readonly checkpoint?: string;
  /** Where its data lies now, if it has moved. */
  readonly moved?: Places;
  readonly services: Pick<RunServices, 'openDataset' | 'openAccess' | 'openCluster' | 'launchWorkers'>;
}

/** What a network says of each validation image, once; by sample id, as `labels` and `paths` are. */
export interface RunEvaluation extends EvaluationResult {
  /** Indices of `dataset.classes`. */
  readonly labels: Uint32Array;
  /** Relative to `dataset.root`. */
  readonly paths: readonly string[];
  readonly dataset: Dataset;
  readonly checkpoint: ChosenCheckpoint;
}

/**
 * Evaluates a run's network over its validation set, shared among local workers. The run is only read.
 *
 * @throws RondoError not-found when it has no checkpoint, failed-precondition when its images have changed.
 */
export async function evaluateRun(options: EvaluateRunOptions): Promise<RunEvaluation> {
  const { directory, workers, services, report, signals } = options;
  const record = readRunRecord(directory);
  const checkpoint = await chooseCheckpoint(directory, options.checkpoint);
  const context = { services, report, signal: signals.signal };
  const { dataset } = await indexRecordedData(record, directory, context, options.moved);
  const evaluation = await evaluateCheckpoint(
    {
      ...{ config: record.config, dataset, checkpoint, workers },
      tta: options.tta ?? false,
    },
    options,
  );
  return {
    ...evaluation,
    labels: Uint32Array.from(dataset.valid, ({ label }) => label),
    paths: Array.from(dataset.valid, ({ path }) => path),
    dataset,
    checkpoint,
  };
}
