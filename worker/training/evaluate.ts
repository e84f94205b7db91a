import { sampleLoss } from '../../plan/criterion.js';
import { cutEvaluation, type Range, shareOf } from '../../plan/micro-batches.js';
import type { RunConfig } from '../../plan/run-config.js';
import { blendAnswers, testTimeViews } from '../../plan/test-time.js';
import { rankLabels } from '../model/label-ranks.js';
import type { Batches, BatchRequest } from './batches.js';
import type { Compute, EvaluatedBatch } from './compute.js';

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
 * What a worker has evaluated in one state, by the places of the micro-batches in the validation set: when the
 * evaluation is cut off and done again, it counts.
 */
export interface Evaluated {
  /** The state is that after so many steps. */
  step: number;
  readonly batches: Map<number, EvaluatedBatch>;
}

export function nothingEvaluated(): Evaluated {
  return { step: 0, batches: new Map() };
}

/** Whose share of which evaluation. */
export interface EvaluationPlace {
  readonly rank: number;
  readonly worldSize: number;
  readonly evaluated: Evaluated;
  readonly startStep: number;
  /**
   * This rank's micro-batches of the evaluation after `startStep` steps, where that was begun before; null where it is
   * as of all others.
   */
  readonly startEvaluation: readonly number[] | null;
}

/**
 * What is asked of the loader for rank's share of the validation set after `step` steps, in all views that the task
 * asks for: what was not evaluated before.
 */
export function* evaluationRequests(
  config: RunConfig,
  step: number,
  place: EvaluationPlace,
): Iterable<BatchRequest> {
  const { evaluated } = place;
  for (const [position, range] of ownBatches(config, step, place)) {
    if (evaluated.step === step && evaluated.batches.has(position)) continue;
    const ids = idsOf(range);
    for (let view = 0; view < viewsOf(config); view++) yield { split: 'valid', ids, epoch: null, view };
  }
}

/**
 * Evaluates rank's share of the validation set with the running statistics: the middle of each image, or,
 * where the task asks for it, all test-time views.
 *
 * @param step how many steps the state has seen
 * @param batches whose next ones are those of `evaluationRequests`
 */
export async function evaluateShare(
  config: RunConfig,
  step: number,
  place: EvaluationPlace & { onEvaluated(images: number): void },
  compute: Compute,
  batches: Batches,
): Promise<EvaluationShare> {
  const own = ownBatches(config, step, place);
  const count = own.reduce((sum, [, { start, end }]) => sum + end - start, 0);
  const result: EvaluationShare = {
    sampleIds: new Uint32Array(count),
    losses: new Float32Array(count),
    predictions: new Uint32Array(count),
    labelRanks: new Uint32Array(count),
    probabilities: new Float32Array(count),
  };
  const views = viewsOf(config);
  const { evaluated, onEvaluated } = place;
  if (evaluated.step !== step) evaluated.batches.clear();
  evaluated.step = step;
  const evaluateNew = () =>
    views === 1 ? evaluateNext(batches, compute) : blendNext(batches, views, config, compute);
  let at = 0;
  onEvaluated(at);
  for (const [position, range] of own) {
    const batch = evaluated.batches.get(position) ?? (await evaluateNew());
    evaluated.batches.set(position, batch);
    result.sampleIds.set(idsOf(range), at);
    result.losses.set(batch.losses, at);
    result.predictions.set(batch.predictions, at);
    result.labelRanks.set(batch.labelRanks, at);
    result.probabilities.set(batch.probabilities, at);
    at += batch.losses.length;
    onEvaluated(at);
  }
  return result;
}

/**
 * The rank's micro-batches of the evaluation after `step` steps, with their places. They are the run's, so that a
 * sample's numbers do not depend on the world size.
 */
function ownBatches(
  config: RunConfig,
  step: number,
  { rank, worldSize, startStep, startEvaluation }: EvaluationPlace,
): readonly (readonly [number, Range])[] {
  const batches = cutEvaluation(config);
  if (step === startStep && startEvaluation !== null) {
    return startEvaluation.map((position) => [position, batches[position]!]);
  }
  const { start, end } = shareOf(batches.length, rank, worldSize);
  return batches.slice(start, end).map((range, index) => [start + index, range]);
}

function idsOf({ start, end }: Range): Uint32Array {
  return Uint32Array.from({ length: end - start }, (_, index) => start + index);
}

function viewsOf({ task, augment, seed }: RunConfig): number {
  return task.kind === 'evaluate' && task.tta === true ? testTimeViews(augment, seed).length : 1;
}

async function evaluateNext(batches: Batches, compute: Compute): Promise<EvaluatedBatch> {
  const { pixels, labels, transforms, lighting, release } = await batches.take();
  const evaluated = await compute.evaluate({ pixels, labels, transforms, lighting });
  release();
  return evaluated;
}

/** The same images in all views, one after the other. */
async function blendNext(
  batches: Batches,
  views: number,
  config: RunConfig,
  compute: Compute,
): Promise<EvaluatedBatch> {
  const answers: Float32Array[] = [];
  let labels = new Int32Array();
  while (answers.length < views) {
    const batch = await batches.take();
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
