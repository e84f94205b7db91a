import assert from 'node:assert/strict';
import { sampleLoss } from '../../plan/criterion.js';
import { cutMicroBatches, shareOf } from '../../plan/micro-batches.js';
import type { RunConfig } from '../../plan/run-config.js';
import { blendAnswers, testTimeViews } from '../../plan/test-time.js';
import { rankLabels } from '../model/label-ranks.js';
import type { BatchLoader, LoadedBatch } from './batches.js';
import type { Compute, EvaluatedBatch } from './compute.js';

/** Samples of one forward pass. Fixed, so that a sample's numbers do not depend on the world size. */
const evaluationBatch = 32;

/** One rank's share of the validation set; arrays run in parallel. */
export interface EvaluationShare {
  readonly sampleIds: Uint32Array;
  readonly losses: Float32Array;
  readonly predictions: Uint32Array;
  /** How many classes the network finds likelier than the sample's label. */
  readonly labelRanks: Uint32Array;
  /** Of the sample's own label. */
  readonly probabilities: Float32Array;
}

/**
 * Evaluates rank's share of the validation set with the running statistics: the middle of each image, or,
 * where the task asks for it, all test-time views.
 */
export async function evaluateShare(
  config: RunConfig,
  { rank, worldSize, onEvaluated }: { rank: number; worldSize: number; onEvaluated(images: number): void },
  compute: Compute,
  loader: BatchLoader,
  signal: AbortSignal,
): Promise<EvaluationShare> {
  const batches = cutMicroBatches(config.validCount, evaluationBatch);
  const share = shareOf(batches.length, rank, worldSize);
  const own = batches.slice(share.start, share.end);
  const first = own[0]?.start ?? 0;
  const count = (own.at(-1)?.end ?? first) - first;
  const result: EvaluationShare = {
    sampleIds: Uint32Array.from({ length: count }, (_, index) => first + index),
    losses: new Float32Array(count),
    predictions: new Uint32Array(count),
    labelRanks: new Uint32Array(count),
    probabilities: new Float32Array(count),
  };
  const { task } = config;
  const views =
    task.kind === 'evaluate' && task.tta === true ? testTimeViews(config.augment, config.seed).length : 1;
  const requests = own.flatMap(({ start, end }) =>
    Array.from({ length: views }, (_, view) => ({
      split: 'valid' as const,
      ids: result.sampleIds.slice(start - first, end - first),
      epoch: null,
      view,
    })),
  );
  const loaded = loader.load(requests, { depth: 2, signal })[Symbol.asyncIterator]();
  let at = 0;
  onEvaluated(at);
  try {
    for (const _ of own) {
      const evaluated =
        views === 1 ? await evaluateNext(loaded, compute) : await blendNext(loaded, views, config, compute);
      result.losses.set(evaluated.losses, at);
      result.predictions.set(evaluated.predictions, at);
      result.labelRanks.set(evaluated.labelRanks, at);
      result.probabilities.set(evaluated.probabilities, at);
      at += evaluated.losses.length;
      onEvaluated(at);
    }
    return result;
  } finally {
    await loaded.return?.();
  }
}

async function evaluateNext(loaded: AsyncIterator<LoadedBatch>, compute: Compute): Promise<EvaluatedBatch> {
  const { pixels, labels, transforms, lighting, release } = await takeNext(loaded);
  const evaluated = await compute.evaluate({ pixels, labels, transforms, lighting });
  release();
  return evaluated;
}

/** The same images in all views, one after the other. */
async function blendNext(
  loaded: AsyncIterator<LoadedBatch>,
  views: number,
  config: RunConfig,
  compute: Compute,
): Promise<EvaluatedBatch> {
  const answers: Float32Array[] = [];
  let labels = new Int32Array();
  while (answers.length < views) {
    const batch = await takeNext(loaded);
    const { pixels, transforms, lighting } = batch;
    answers.push(await compute.predict({ pixels, transforms, lighting }));
    labels = batch.labels.slice();
    batch.release();
  }
  return evaluateRows(blendAnswers(answers), labels, config);
}

/** What evaluation says of images, from their probabilities [n, classes], row by row. */
function evaluateRows(rows: Float32Array, labels: Int32Array, config: RunConfig): EvaluatedBatch {
  const classes = config.classes.length;
  const rowOf = (sample: number) => rows.subarray(sample * classes, (sample + 1) * classes);
  return {
    losses: Float32Array.from(labels, (label, sample) => sampleLoss(rowOf(sample), label, config)),
    predictions: Int32Array.from(labels, (_, sample) => argMax(rowOf(sample))),
    labelRanks: rankLabels(rows, labels, classes),
    probabilities: Float32Array.from(labels, (label, sample) => rowOf(sample)[label]!),
  };
}

/** The first of equals. */
function argMax(values: Float32Array): number {
  return values.reduce((best, value, index) => (value > values[best]! ? index : best), 0);
}

async function takeNext(loaded: AsyncIterator<LoadedBatch>): Promise<LoadedBatch> {
  const { value, done } = await loaded.next();
  assert(!done, 'the loader ended before the evaluation');
  return value;
}
