import assert from 'node:assert/strict';
import type { z } from 'zod';
import { createSmoothedLoss } from '../../plan/criterion.js';
import { stepsPerEpoch } from '../../plan/micro-batches.js';
import { planStep } from '../../plan/phases.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { epochRecordSchema } from '../../proto/run-files.js';
import type { StepFigures, WorkerLine } from './ledger.js';
import { measure } from './measures.js';

/** One row of the table that the person reads. */
export type EpochRecord = Readonly<z.infer<typeof epochRecordSchema>>;

/** What a run has recorded, in order. */
export interface History {
  readonly steps: readonly StepFigures[];
  readonly epochs: readonly EpochRecord[];
  /** Those that took part, and what they computed with. */
  readonly workers: readonly Pick<WorkerLine, 'kernels'>[];
}

interface Evaluated {
  readonly epoch: number;
  readonly losses: Float32Array;
  readonly predictions: Uint32Array;
  readonly labelRanks: Uint32Array;
  readonly sampleIds: Uint32Array;
}

/**
 * The record of an epoch whose steps all stand in `steps` (the run's, in order). The smoothing begins with
 * the phase, as fastai's does with each fit.
 *
 * @param labels by validation sample id
 * @param evaluationSeconds wall time between the last step and the end of validation
 */
export function recordEpoch(
  config: RunConfig,
  steps: readonly StepFigures[],
  evaluation: Evaluated,
  labels: ArrayLike<number>,
  evaluationSeconds: number,
): EpochRecord {
  const perEpoch = stepsPerEpoch(config);
  const own = stepsFrom(steps, evaluation.epoch * perEpoch, (evaluation.epoch + 1) * perEpoch);
  assert.equal(own.length, perEpoch, `epoch ${evaluation.epoch} was evaluated before its last step`);
  const seconds = sum(own.map((line) => line.seconds));
  const labelled = { ...evaluation, labels: evaluation.sampleIds.map((id) => labels[id]!) };
  const measures = measure(labelled, config.classes.length, config.classWeights);
  return {
    epoch: evaluation.epoch,
    train_loss: finite(smoothPhase(config, steps, own.at(-1)!.step)),
    valid_loss: measures.validLoss,
    error_rate: measures.errorRate,
    balanced_error: measures.balancedError,
    macro_f1: measures.macroF1,
    top5_error: measures.top5Error,
    seconds: seconds + evaluationSeconds,
    imagesPerSecond: seconds > 0 ? sum(own.map((line) => line.samples)) / seconds : 0,
  };
}

function smoothPhase(config: RunConfig, steps: readonly StepFigures[], last: number): number {
  const smoothed = createSmoothedLoss();
  const first = last - planStep(config, last).stepInPhase;
  for (const line of stepsFrom(steps, first, last + 1)) smoothed.add(line.loss ?? Number.NaN);
  return smoothed.value();
}

/**
 * Steps are left out where a phase ended early, so that their places in the list do not say which they are.
 */
function stepsFrom(steps: readonly StepFigures[], start: number, end: number): readonly StepFigures[] {
  return steps.filter(({ step }) => step >= start && step < end);
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
