import { performance } from 'node:perf_hooks';
import { cutMicroBatches } from '../../plan/micro-batches.js';
import {
  largestStep,
  type Place,
  planStep,
  type StepPlan,
  samplesAt,
  shareOfStep,
  totalSteps,
} from '../../plan/phases.js';
import { type Batches, type BatchRequest, type LoadedBatch, openBatches } from './batches.js';
import { type EvaluationPlace, evaluationRequests } from './evaluate.js';
import { expectShards } from './expected-shards.js';
import { type StepShare, takeStep } from './step.js';
import type { StepEvent, TaskOptions } from './task.js';

type ReadOptions = Pick<
  TaskOptions,
  'config' | keyof Place | keyof EvaluationPlace | 'startShare' | 'epochEndDue' | 'loader' | 'signal'
>;

/**
 * What this rank needs from `startStep` on, in the order in which it needs it: each step's micro-batches, and
 * after an epoch's those of the evaluation. So what comes after an epoch's border is read ahead as all else is.
 */
export function openTaskBatches(options: ReadOptions): Batches {
  const { loader, signal } = options;
  return openBatches(loader, requestsOf(options), { held: largestShare(options), signal });
}

/**
 * This rank's part of the steps from `startStep` to the last one planned, in order, each together with all
 * other ranks; moments start afresh with each phase.
 *
 * @param batches of `openTaskBatches`; after an epoch's last step the caller takes those of the evaluation
 */
export async function* takeSteps(options: TaskOptions, batches: Batches): AsyncGenerator<StepEvent, void> {
  const { config, startStep } = options;
  const steps = totalSteps(config);
  for (let step = startStep; step < steps; step++) {
    const started = performance.now();
    const plan = planStep(config, step);
    const context = options.context(plan.trainable);
    if (plan.stepInPhase === 0) await context.compute.resetMoments();

    const share = shareAt(plan, options);
    const own = await takeBatches(batches, share.microBatches.length);
    const waitDataSeconds = (performance.now() - started) / 1000;
    const sampleIds = samplesAt(plan, share.microBatches);
    const { outcome, cost } = await takeStep(plan, own, share, context);
    const seconds = (performance.now() - started) / 1000;
    yield { kind: 'step', plan, outcome, sampleIds, cost, seconds, waitDataSeconds };
  }
}

function* requestsOf(options: ReadOptions): Iterable<BatchRequest> {
  const { config, startStep, epochEndDue } = options;
  const steps = totalSteps(config);
  if (epochEndDue) yield* evaluationRequests(config, startStep, options);
  let told: string | null = null;
  for (let step = startStep; step < steps; step++) {
    const plan = planStep(config, step);
    const shards = expectShards(config, plan, options, told === null);
    const next = shards?.next.join() ?? '';
    for (const microBatch of shareAt(plan, options).microBatches) {
      const ids = samplesAt(plan, [microBatch]);
      yield { split: 'train', ids, epoch: plan.epoch, ...(shards && next !== told ? { shards } : {}) };
      told = next;
    }
    if (plan.lastOfEpoch) yield* evaluationRequests(config, step + 1, options);
  }
}

/** The first step may have been begun before, by other ranks. */
function shareAt(plan: StepPlan, options: ReadOptions): StepShare {
  const { startStep, startShare } = options;
  if (plan.step === startStep && startShare !== null) return startShare;
  return { microBatches: shareOfStep(plan, options), computed: [] };
}

/** Micro-batches that one step may hold at once. */
function largestShare(options: ReadOptions): number {
  const { config, startShare } = options;
  const microBatches = cutMicroBatches(largestStep(config), config.microBatch);
  const { length } = shareOfStep({ microBatches }, { ...options, rank: 0 });
  return Math.max(length, startShare?.microBatches.length ?? 0);
}

async function takeBatches(batches: Batches, count: number): Promise<LoadedBatch[]> {
  const taken: LoadedBatch[] = [];
  while (taken.length < count) taken.push(await batches.take());
  return taken;
}
