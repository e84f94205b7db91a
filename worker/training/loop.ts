import { performance } from 'node:perf_hooks';
import { cutMicroBatches, shareOf } from '../../plan/micro-batches.js';
import { planStep, type StepPlan, totalSteps } from '../../plan/phases.js';
import type { RunConfig, Trainable } from '../../plan/run-config.js';
import type { BatchLoader, BatchRequest, LoadedBatch } from './batches.js';
import { type EvaluationShare, evaluateShare } from './evaluate.js';
import type { Snapshot, Snapshots } from './snapshots.js';
import { type StepContext, type StepCost, type StepOutcome, takeStep } from './step.js';

/** Micro-batches that wait ready while the compute thread works on a step. */
const readAhead = 4;

export type TrainingEvent =
  | {
      readonly kind: 'step';
      readonly plan: StepPlan;
      readonly outcome: StepOutcome;
      /** The ids that this rank computed. */
      readonly sampleIds: Uint32Array;
      readonly cost: StepCost;
      /** Wall time of the step, and the part of it spent waiting for pixels. */
      readonly seconds: number;
      readonly waitDataSeconds: number;
    }
  | {
      readonly kind: 'snapshot';
      readonly epoch: number;
      /** False when the run stops inside the epoch. */
      readonly whole: boolean;
      readonly snapshot: Snapshot;
    }
  | {
      readonly kind: 'evaluation';
      readonly epoch: number;
      readonly step: number;
      readonly share: EvaluationShare;
    };

export interface TrainingOptions {
  readonly config: RunConfig;
  readonly rank: number;
  readonly worldSize: number;
  readonly startStep: number;
  readonly loader: BatchLoader;
  readonly snapshots: Snapshots;
  /** A step's context for each set of trainable parameters that the run has. */
  context(trainable: Trainable): StepContext;
  readonly signal: AbortSignal;
}

/**
 * This rank's part of a run from `startStep` on: its micro-batches of every step, a snapshot and its share of the
 * validation set after every epoch. Returns the number of steps taken since the run's beginning, and whether the ranks
 * agreed to stop before its end.
 */
export async function* train(
  options: TrainingOptions,
): AsyncGenerator<TrainingEvent, { step: number; stopped: boolean }> {
  const { config, startStep, loader, snapshots, signal } = options;
  const steps = totalSteps(config);
  const batches = loader.load(trainRequests(options, steps), {
    depth: largestShare(options) + readAhead,
    signal,
  });
  const iterator = batches[Symbol.asyncIterator]();
  try {
    for (let step = startStep; step < steps; step++) {
      const started = performance.now();
      const plan = planStep(config, step);
      const context = options.context(plan.trainable);
      if (plan.stepInPhase === 0) await context.compute.resetMoments();

      const share = shareOf(plan.microBatches.length, options.rank, options.worldSize);
      const own = await takeBatches(iterator, share.end - share.start);
      const waitDataSeconds = (performance.now() - started) / 1000;
      const sampleIds = sampleIdsOf(plan, share);
      const { outcome, cost } = await takeStep(plan, own, share.start, context);
      const seconds = (performance.now() - started) / 1000;
      yield { kind: 'step', plan, outcome, sampleIds, cost, seconds, waitDataSeconds };

      if (plan.lastOfEpoch || outcome.stop) {
        const snapshot = await snapshots.take(step + 1);
        yield { kind: 'snapshot', epoch: plan.epoch, whole: plan.lastOfEpoch, snapshot };
      }
      if (plan.lastOfEpoch) {
        const share = await evaluateShare(config, options, context.compute, loader, signal);
        yield { kind: 'evaluation', epoch: plan.epoch, step: step + 1, share };
      }
      if (outcome.stop && !plan.lastOfRun) return { step: step + 1, stopped: true };
    }
    return { step: steps, stopped: false };
  } finally {
    await iterator.return?.();
  }
}

function* trainRequests(
  { config, rank, worldSize, startStep }: TrainingOptions,
  steps: number,
): Iterable<BatchRequest> {
  for (let step = startStep; step < steps; step++) {
    const plan = planStep(config, step);
    const share = shareOf(plan.microBatches.length, rank, worldSize);
    for (const { start, end } of plan.microBatches.slice(share.start, share.end)) {
      yield { split: 'train', ids: plan.sampleIds.slice(start, end), epoch: plan.epoch };
    }
  }
}

/** Micro-batches that one step may hold at once. */
function largestShare({ config, worldSize }: TrainingOptions): number {
  const { start, end } = shareOf(cutMicroBatches(config.batchSize, config.microBatch).length, 0, worldSize);
  return end - start;
}

function sampleIdsOf(plan: StepPlan, share: { start: number; end: number }): Uint32Array {
  const own = plan.microBatches.slice(share.start, share.end);
  return plan.sampleIds.slice(own[0]?.start ?? 0, own.at(-1)?.end ?? 0);
}

async function takeBatches(iterator: AsyncIterator<LoadedBatch>, count: number): Promise<LoadedBatch[]> {
  const taken: LoadedBatch[] = [];
  while (taken.length < count) {
    const { value, done } = await iterator.next();
    if (done) throw new Error('the loader ended before the run');
    taken.push(value);
  }
  return taken;
}
