import { performance } from 'node:perf_hooks';
import { averageDecay } from '../../plan/learning-rates.js';
import { drawMixup } from '../../plan/mixup.js';
import type { StepPlan } from '../../plan/phases.js';
import { randomKey } from '../../plan/random.js';
import type { RunConfig } from '../../plan/run-config.js';
import { RondoError } from '../../runtime/errors.js';
import type { ReductionLayout } from '../model/program.js';
import type { LoadedBatch } from './batches.js';
import type { Applied, Compute, GradientRequest, KeyedBatch } from './compute.js';
import { type ReducedParts, type Requests, reduceParts, type StepRing } from './reduce-parts.js';

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
export interface StepOutcome extends Requests {
  /**
   * Mean over the global batch, as training has it: smoothed, weighted and mixed where the run asks for it.
   */
  readonly loss: number;
  readonly correct: number;
  readonly samples: number;
  /** Something in the sum was not finite: no rank updated its state. */
  readonly skipped: boolean;
}

/** What a step needs of its plan. */
export type StepSettings = Pick<
  StepPlan,
  'step' | 'trainable' | 'microBatches' | 'learningRates' | 'momentum'
>;

export interface StepContext {
  readonly config: Pick<RunConfig, 'seed' | 'mixup' | 'emaDecay'>;
  readonly compute: Compute;
  /** Null for a rank that is alone, where sums are complete as they are computed. */
  readonly ring: StepRing | null;
  readonly layout: ReductionLayout;
  /** Of `compute`: this rank's part of the sum, then the sum over ranks; `layout.length` values. */
  readonly vector: Float32Array;
  /** What this rank asks of all at the end of `step`. */
  requests(step: number): Requests;
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
  const { config } = context;
  const keyed = batches.map((batch, index): KeyedBatch => {
    const { pixels, labels, transforms, lighting } = batch;
    const place = { step: plan.step, microBatch: firstMicroBatch + index, count: labels.length };
    return {
      batch: { pixels, labels, transforms, lighting },
      key: randomKey(config.seed, plan.step, firstMicroBatch + index),
      ...(config.mixup > 0 ? { mixup: drawMixup(config.mixup, config.seed, place) } : {}),
    };
  });
  try {
    const first = await tryStep(plan, keyed, null, context);
    if (first.applied.outcome !== 'overflow') return resultOf(first, first.applied, context);
    // The same gradients again, on a grid that is made for them.
    const second = await tryStep(plan, keyed, first.applied.largest, context);
    if (second.applied.outcome !== 'overflow') return resultOf(second, second.applied, context, first);
    throw new RondoError('internal', `the gradients of step ${plan.step} differ from one time to the next`, {
      remedy: 'Set TF_DETERMINISTIC_OPS=1 where workers have GPUs; else check the memory of the machines.',
    });
  } finally {
    for (const batch of batches) batch.release();
  }
}

/** What became of a sum, and its times in seconds. */
interface Attempt extends Omit<StepCost, 'tensorHandles'>, Requests {
  readonly applied: Applied;
}

async function tryStep(
  plan: StepSettings,
  keyed: readonly KeyedBatch[],
  largest: Float32Array | null,
  context: StepContext,
): Promise<Attempt> {
  const { config, compute } = context;
  const started = performance.now();
  const request = { trainable: plan.trainable, microBatches: plan.microBatches.length, largest };
  const { summaries, stop, keep, snapshot, ringSeconds, computedAt } = await sumUp(
    plan.step,
    keyed,
    request,
    context,
  );
  const reducedAt = performance.now();
  const applied = await compute.apply(summaries, {
    trainable: plan.trainable,
    learningRates: plan.learningRates,
    momentum: plan.momentum,
    averageDecay: config.emaDecay === null ? null : averageDecay(config.emaDecay, plan.step),
  });
  return {
    ...{ applied, stop, keep, snapshot },
    gradients: (computedAt - started) / 1000,
    ring: ringSeconds,
    ringExposed: (reducedAt - computedAt) / 1000,
    apply: (performance.now() - reducedAt) / 1000,
  };
}

/** The step's sum, in the vector; when it ends, well or not, nothing of it runs any more. */
async function sumUp(
  step: number,
  keyed: readonly KeyedBatch[],
  request: GradientRequest,
  context: StepContext,
): Promise<ReducedParts & { readonly computedAt: number }> {
  const { compute, layout, ring, signal } = context;
  if (ring === null) {
    const summary = await compute.sumAlone(keyed, request);
    signal.throwIfAborted();
    const computedAt = performance.now();
    return { summaries: [summary], ...context.requests(step), ringSeconds: 0, computedAt };
  }
  const cancelled = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const cancel = () => void Atomics.store(cancelled, 0, 1);
  signal.addEventListener('abort', cancel);
  // All at once: the compute thread goes from one to the next while the ring carries what is known.
  const parts = layout.parts.map((_, part) => compute.gradientPart(part, keyed, { ...request, cancelled }));
  const computed = Promise.allSettled(parts).then(() => performance.now());
  try {
    const reduced = await reduceParts(parts, { ...context, ring }, () => context.requests(step));
    return { ...reduced, computedAt: await computed };
  } finally {
    signal.removeEventListener('abort', cancel);
    cancel();
    await computed;
  }
}

function resultOf(
  last: Attempt,
  applied: Exclude<Applied, { outcome: 'overflow' }>,
  { layout: { tail }, vector }: StepContext,
  before?: Attempt,
): { outcome: StepOutcome; cost: StepCost } {
  const timeOf = (key: 'gradients' | 'ring' | 'ringExposed' | 'apply') => last[key] + (before?.[key] ?? 0);
  return {
    outcome: {
      loss: vector[tail.lossSum] / vector[tail.weight],
      correct: vector[tail.correct],
      samples: vector[tail.samples],
      skipped: applied.outcome === 'skipped',
      stop: last.stop,
      keep: last.keep,
      snapshot: last.snapshot,
    },
    cost: {
      gradients: timeOf('gradients'),
      ring: timeOf('ring'),
      ringExposed: timeOf('ringExposed'),
      apply: timeOf('apply'),
      tensorHandles: applied.tensorHandles,
    },
  };
}
