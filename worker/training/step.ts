import { performance } from 'node:perf_hooks';
import { drawMixup } from '../../plan/mixup.js';
import { averageDecay } from '../../plan/moving-average.js';
import type { StepPlan } from '../../plan/phases.js';
import { randomKey } from '../../plan/random.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { ReductionLayout } from '../model/program.js';
import type { LoadedBatch } from './batches.js';
import type { Compute, KeyedBatch } from './compute.js';
import { type AllReduce, reduceParts } from './reduce-parts.js';

/** Where a step's time went on this rank, in seconds, and what it left behind. */
export interface StepCost {
  readonly gradients: number;
  /** In which the ring was at work, most of it while gradients were computed. */
  readonly ring: number;
  /**
   * The end of `ring`: from the last gradient to the last sum. The step's time is gradients + ringExposed +
   * apply.
   */
  readonly ringExposed: number;
  readonly apply: number;
  /** Tensors that the binding holds for JavaScript after the step. */
  readonly tensorHandles: number;
}

/** What every rank learns from a step: the same numbers everywhere. */
export interface StepOutcome {
  /**
   * Mean over the global batch, as training has it: smoothed, weighted and mixed where the run asks for it.
   */
  readonly loss: number;
  readonly correct: number;
  readonly samples: number;
  /** The reduced vector was not finite: no rank updated its state. */
  readonly skipped: boolean;
  /** A rank was asked to stop: every rank stops after this step. */
  readonly stop: boolean;
}

/** What a step needs of its plan. */
export type StepSettings = Pick<StepPlan, 'step' | 'trainable' | 'learningRates' | 'momentum'>;

export interface StepContext {
  readonly config: Pick<RunConfig, 'seed' | 'mixup' | 'emaDecay'>;
  readonly compute: Compute;
  readonly ring: AllReduce;
  readonly layout: ReductionLayout;
  /** This rank's part of the reduction, then the sum over ranks; `layout.length` values in shared memory. */
  readonly vector: Float32Array;
  stopRequested(): boolean;
  readonly signal: AbortSignal;
}

/**
 * One optimizer update, together with all other ranks; when it ends, well or not, nothing of it runs any
 * more. `firstMicroBatch` is the position of `batches[0]` among the step's micro-batches: it decides their
 * dropout and how they are mixed, whichever rank computes them.
 */
export async function takeStep(
  plan: StepSettings,
  batches: readonly LoadedBatch[],
  firstMicroBatch: number,
  context: StepContext,
): Promise<{ outcome: StepOutcome; cost: StepCost }> {
  const { config, compute, layout, vector } = context;
  const started = performance.now();
  const keyed = batches.map((batch, index): KeyedBatch => {
    const { pixels, labels, transforms, lighting } = batch;
    const place = { step: plan.step, microBatch: firstMicroBatch + index, count: labels.length };
    return {
      batch: { pixels, labels, transforms, lighting },
      key: randomKey(config.seed, plan.step, firstMicroBatch + index),
      ...(config.mixup > 0 ? { mixup: drawMixup(config.mixup, config.seed, place) } : {}),
    };
  });
  // All at once: the compute thread goes from one to the next while the ring carries what is known.
  const parts = layout.parts.map((_, part) => compute.gradientPart(part, keyed, plan.trainable, vector));
  const computed = Promise.allSettled(parts).then(() => {
    for (const batch of batches) batch.release();
    return performance.now();
  });
  const ringSeconds = await reduceParts(parts, context, () => {
    // Votes to stop are summed with the gradients, so that all ranks learn of one at the same step.
    vector[layout.tail.stopVotes] = context.stopRequested() ? 1 : 0;
  }).finally(() => computed);
  const [computedAt, reducedAt] = [await computed, performance.now()];

  const { lossSum, correct, samples, weight, stopVotes } = layout.tail;
  const { updated, tensorHandles } = await compute.apply(vector, {
    trainable: plan.trainable,
    learningRates: plan.learningRates,
    momentum: plan.momentum,
    averageDecay: config.emaDecay === null ? null : averageDecay(config.emaDecay, plan.step),
  });
  return {
    outcome: {
      loss: vector[lossSum] / vector[weight],
      correct: vector[correct],
      samples: vector[samples],
      skipped: !updated,
      stop: vector[stopVotes] > 0,
    },
    cost: {
      gradients: (computedAt - started) / 1000,
      ring: ringSeconds,
      ringExposed: (reducedAt - computedAt) / 1000,
      apply: (performance.now() - reducedAt) / 1000,
      tensorHandles,
    },
  };
}
