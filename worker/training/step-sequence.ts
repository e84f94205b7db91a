import { performance } from 'node:perf_hooks';
import { cutMicroBatches, shareOf } from '../../plan/micro-batches.js';
import { largestStep, planStep, type StepPlan, shareOfStep, totalSteps } from '../../plan/phases.js';
import { type Batches, type BatchRequest, type LoadedBatch, openBatches } from './batches.js';
import { evaluationRequests } from './evaluate.js';
import { expectShards } from './expected-shards.js';
import { takeStep } from './step.js';
import type { StepEvent, TaskOptions } from './task.js';

type ReadOptions = Pick<
  TaskOptions,
  'config' | 'rank' | 'worldSize' | 'startStep' | 'epochEndDue' | 'loader' | 'signal'
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

    const share = shareOfStep(plan, options.rank, options.worldSize);
    const own = await takeBatches(batches, share.end - share.start);
    const waitDataSeconds = (performance.now() - started) / 1000;
    const sampleIds = sampleIdsOf(plan, share);
    const { outcome, cost } = await takeStep(plan, own, share.start, context);
    const seconds = (performance.now() - started) / 1000;
    yield { kind: 'step', plan, outcome, sampleIds, cost, seconds, waitDataSeconds };
  }
}

function* requestsOf(options: ReadOptions): Iterable<BatchRequest> {
  const { config, rank, worldSize, startStep, epochEndDue } = options;
  const steps = totalSteps(config);
  if (epochEndDue) yield* evaluationRequests(config, options);
  let told: string | null = null;
  for (let step = startStep; step < steps; step++) {
    const plan = planStep(config, step);
    const share = shareOfStep(plan, rank, worldSize);
    const shards = expectShards(config, plan, options, told === null);
    for (const { start, end } of plan.microBatches.slice(share.start, share.end)) {
      const ids = plan.sampleIds.slice(start, end);
      const next = shards?.next.join() ?? '';
      yield { split: 'train', ids, epoch: plan.epoch, ...(shards && next !== told ? { shards } : {}) };
      told = next;
    }
    if (plan.lastOfEpoch) yield* evaluationRequests(config, options);
  }
}

/** Micro-batches that one step may hold at once. */
function largestShare({ config, worldSize }: ReadOptions): number {
  const pieces = cutMicroBatches(largestStep(config), config.microBatch).length;
  const { start, end } = shareOf(pieces, 0, worldSize);
  return end - start;
}

function sampleIdsOf(plan: StepPlan, share: { start: number; end: number }): Uint32Array {
  const own = plan.microBatches.slice(share.start, share.end);
  return plan.sampleIds.slice(own[0]?.start ?? 0, own.at(-1)?.end ?? 0);
}

async function takeBatches(batches: Batches, count: number): Promise<LoadedBatch[]> {
  const taken: LoadedBatch[] = [];
  while (taken.length < count) taken.push(await batches.take());
  return taken;
}
