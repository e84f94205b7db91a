import assert from 'node:assert/strict';
import type { Dataset } from '../../proto/gen/coordinator.js';
import { diskCacheGib } from '../../runtime/installation.js';
import { type ChosenCheckpoint, chooseCheckpoint } from '../checkpoints/choose-checkpoint.js';
import type { EvaluationResult } from '../membership/cluster-events.js';
import { defaults } from '../options/defaults.js';
import { type OperateContext, operateCluster } from '../run/operate-cluster.js';
import { indexRecordedData, type Places } from '../run/recorded-data.js';
import type { RunServices } from '../run/services.js';
import { type RunDirectory, readRunRecord } from '../run-store/run-directory.js';

export interface EvaluateRunOptions extends OperateContext {
  readonly directory: RunDirectory;
  /** Local workers that share the validation set. */
  readonly workers: number;
  /** With test-time augmentation; without, unless given. */
  readonly tta?: boolean;
  /** Null divides the cores among them. */
  readonly threads?: number | null;
  /** A checkpoint's name; without it, the one with the lowest error rate if it is kept, else the newest. */
  readonly checkpoint?: string;
  /** Where its data lies now, if it has moved. */
  readonly moved?: Places;
  readonly services: Pick<RunServices, 'openDataset' | 'openCluster' | 'launchWorkers'>;
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
  const evaluated = new Array<number>(workers).fill(0);
  let result: EvaluationResult | null = null;
  await operateCluster(
    {
      config: { ...record.config, task: { kind: 'evaluate', ...(options.tta ? { tta: true } : {}) } },
      dataset,
      pretrainedPath: null,
      checkpoint,
      startStep: checkpoint.record.step,
      ...{ workers, localWorkers: workers, threads: options.threads ?? null, listen: defaults.listen },
      cacheGib: diskCacheGib(process.env),
      listener: {
        evaluating(rank, images) {
          evaluated[rank] = images;
          report({ kind: 'dataset', phase: 'evaluating', done: sum(evaluated), total: dataset.valid.length });
        },
        evaluated(evaluation) {
          result = evaluation;
        },
      },
    },
    options,
  );
  const evaluation = result as EvaluationResult | null;
  assert(evaluation !== null, 'the workers finished without an evaluation');
  return {
    ...evaluation,
    epoch: checkpoint.record.epoch,
    labels: Uint32Array.from(dataset.valid, ({ label }) => label),
    paths: dataset.valid.map(({ path }) => path),
    dataset,
    checkpoint,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
