import { performance } from 'node:perf_hooks';
import { cutMicroBatches, shareOf } from '../../plan/micro-batches.js';
import { largestStep, planStep, type StepPlan, totalSteps } from '../../plan/phases.js';
import type { BatchRequest, LoadedBatch } from './batches.js';
import { takeStep } from './step.js';
import type { StepEvent, TaskOptions } from './task.js';

/** Micro-batches that wait ready while the compute thread works on a step. */
const readAhead = 4;

/**
 * This rank's part of the steps from `startStep` to the last one planned, in order, each together with all
 * other ranks. Pixels are read ahead; moments start afresh with each phase. A caller that stops early must
 * return the generator.
 */
export async function* takeSteps(options: TaskOptions): AsyncGenerator<StepEvent, void> {
  const { config, startStep, loader, signal } = options;
  const steps = totalSteps(config);
  const batches = loader.load(requestsOf(options, steps), {
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
    }
  } finally {
    await iterator.return?.();
  }
}

function* requestsOf(
  { config, rank, worldSize, startStep }: TaskOptions,
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
function largestShare({ config, worldSize }: TaskOptions): number {
  const pieces = cutMicroBatches(largestStep(config), config.microBatch).length;
  const { start, end } = shareOf(pieces, 0, worldSize);
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
