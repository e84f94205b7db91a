import assert from 'node:assert/strict';
import type { RunConfig } from '../../plan/run-config.js';
import type { Dataset } from '../../proto/dataset.js';
import { diskCacheGib } from '../../runtime/installation.js';
import type { Checkpoint } from '../checkpoints/checkpoint-file.js';
import { divideThreads } from '../launch/worker-environment.js';
import type { EvaluationResult } from '../membership/cluster-events.js';
import { defaults } from '../options/run-options.js';
import { runTask, type TaskContext } from './run-task.js';

export interface CheckpointEvaluation {
  readonly config: RunConfig;
  readonly dataset: Dataset;
  readonly checkpoint: Checkpoint;
  /** Local workers that share the validation set. */
  readonly workers: number;
  /** With test-time augmentation. */
  readonly tta: boolean;
}

/**
 * Evaluates a checkpoint's network over the validation set, shared among local workers that are started for
 * it. Nothing is recorded. Throws as `runTask` does.
 */
export async function evaluateCheckpoint(
  { config, dataset, checkpoint, workers, tta }: CheckpointEvaluation,
  context: TaskContext,
): Promise<EvaluationResult> {
  const { step, epoch } = checkpoint.record;
  const evaluated = new Array<number>(workers).fill(0);
  let result: EvaluationResult | null = null;
  await runTask(
    {
      // Whoever evaluates has the whole machine, whatever the run had.
      config: {
        ...config,
        threads: divideThreads(workers),
        task: { kind: 'evaluate', ...(tta ? { tta } : {}) },
      },
      ...{ dataset, pretrainedPath: null, checkpoint, startStep: step },
      ...{ workers, localWorkers: workers, listen: defaults.listen },
      cacheGib: diskCacheGib(process.env),
      listener: {
        evaluating(rank, images) {
          evaluated[rank] = images;
          const done = evaluated.reduce((sum, count) => sum + count, 0);
          context.report({ kind: 'dataset', phase: 'evaluating', done, total: dataset.valid.length });
        },
        evaluated(evaluation) {
          result = evaluation;
        },
      },
    },
    context,
  );
  const evaluation = result as EvaluationResult | null;
  assert(evaluation !== null, 'the workers finished without an evaluation');
  return { ...evaluation, epoch };
}
