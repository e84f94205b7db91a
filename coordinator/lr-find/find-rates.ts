import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { planRates } from '../../plan/phases.js';
import { createRangeTest, type RangeTask } from '../../plan/range-test.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { Dataset } from '../../proto/dataset.js';
import { makeTemporaryFolder } from '../../runtime/make-folder.js';
import { findPretrained, requireHeadFits } from '../checkpoints/pretrained.js';
import { findSource, type SourceRun, takeOver } from '../checkpoints/source-run.js';
import type { StartConfig } from '../options/start-config.js';
import { chooseThreads, indexData, type PrepareContext } from '../run/prepare-run.js';
import { buildRunConfig } from '../run/run-config.js';
import { runTask, type TaskContext } from '../run/run-task.js';
import { type RatePoint, type Suggestions, suggestRates } from './suggestions.js';

export interface RateSearch {
  readonly config: RunConfig;
  readonly points: readonly RatePoint[];
  readonly suggestions: Suggestions | null;
  /** The loss exploded before the last step. */
  readonly diverged: boolean;
  /** Of every worker's weights, statistics and moments, before and after. */
  readonly stateDigest: string;
}

export type FindContext = Omit<PrepareContext, 'signal' | 'command'> & Pick<TaskContext, 'signals'>;

interface Prepared {
  readonly config: RunConfig;
  readonly dataset: Dataset;
  readonly pretrainedPath: string | null;
}

/** The run that --from names, if any. Throws as `findSource` does. */
export async function findStart(start: Extract<StartConfig, { kind: 'new' }>): Promise<SourceRun | null> {
  const { training, runtime } = start;
  return training.from === null ? null : findSource(training.from, runtime.runDir, training);
}

/**
 * Tries out learning rates for the first phase of the run that `start` describes, on its workers. No run
 * begins: all that remains is what is returned.
 */
export async function findRates(
  start: Extract<StartConfig, { kind: 'new' }>,
  source: SourceRun | null,
  task: RangeTask,
  context: FindContext,
): Promise<RateSearch> {
  for (const text of start.notes) context.report({ kind: 'note', text });
  const scratch = makeTemporaryFolder('rondo-lr-find-');
  try {
    return await search(start, await prepare(start, source, task, scratch, context), task, context);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function prepare(
  { training, runtime }: Extract<StartConfig, { kind: 'new' }>,
  source: SourceRun | null,
  task: RangeTask,
  scratch: string,
  { services, report, signals }: FindContext,
): Promise<Prepared> {
  const context = { services, report, signal: signals.signal };
  const pretrained = await findPretrained(training, context);
  const { dataset } = await indexData(training, context);
  requireHeadFits(pretrained, dataset.classes.length);
  const plain = buildRunConfig('lr-find', training, dataset, null);
  const taken =
    source === null ? null : await takeOver(source, plain, join(scratch, 'weights.safetensors'), context);
  const weights = taken?.weights ?? pretrained;
  return {
    config: {
      ...plain,
      task,
      threads: chooseThreads(training, runtime),
      pretrainedDigest: weights?.digest ?? null,
    },
    dataset,
    pretrainedPath: weights?.path ?? null,
  };
}

async function search(
  { runtime }: Extract<StartConfig, { kind: 'new' }>,
  { config, dataset, pretrainedPath }: Prepared,
  task: RangeTask,
  context: FindContext,
): Promise<RateSearch> {
  const test = createRangeTest();
  const points: RatePoint[] = [];
  let diverged = false;
  const { restoredDigest } = await runTask(
    {
      ...{ config, dataset, pretrainedPath, ...runtime },
      checkpoint: null,
      startStep: 0,
      listener: {
        stepCommitted({ step, loss, skipped }) {
          const result = test.add({ loss, skipped });
          diverged = result.diverged;
          const learningRate = planRates(config, step).learningRates.at(-1)!;
          points.push({ step, learningRate, loss: finite(loss), smoothed: finite(result.smoothed) });
          const progress = { done: step + 1, total: task.steps };
          context.report({ kind: 'dataset', phase: 'trying', subject: 'learning rates', ...progress });
        },
      },
    },
    context,
  );
  return { config, points, suggestions: suggestRates(points), diverged, stateDigest: restoredDigest! };
}

/** The folder of the run that a search began from. */
export function folderOf({ checkpoint }: SourceRun): string {
  return dirname(dirname(checkpoint.path));
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
