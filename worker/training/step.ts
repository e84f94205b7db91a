import { performance } from 'node:perf_hooks';
import { averageDecay } from '../../plan/learning-rates.js';
import { drawMixup } from '../../plan/mixup.js';
import type { StepPlan } from '../../plan/phases.js';
import { randomKey } from '../../plan/random.js';
import type { RunConfig } from '../../plan/run-config.js';
import { RondoError } from '../../runtime/errors.js';
import type { ImageBatch, Placed, ReductionLayout } from '../model/program.js';
import type { LoadedBatch } from './batches.js';
import type { Applied, Compute, GradientRequest } from './compute.js';
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

/** A rank's micro-batches, by their places among the step's. */
export interface StepShare {
  readonly microBatches: readonly number[];
  /** Those of them whose gradients `compute` has from the last time that this step was begun. */
  readonly computed: readonly number[];
}

export interface StepContext {
  readonly config: Pick<RunConfig, 'seed' | 'mixup' | 'emaDecay'>;
  readonly compute: Compute;
  readonly ring: StepRing;
  /** Nobody else is in the ring, so that sums are complete as they are computed. */
  readonly isAlone: boolean;
  readonly layout: ReductionLayout;
  /** Of `compute`: this rank's part of the sum, then the sum over ranks; `layout.length` values. */
  readonly vector: Float32Array;
  /** What this rank asks of all at the end of `step`. */
  requests(step: number): Requests;
  /** Told which micro-batches' gradients `compute` has when the step is cut off; none from when one begins. */
  keep(microBatches: readonly number[]): void;
  /** Ends the step, but not what is computed of it: others may have been lost, and the step is to be taken again. */
  readonly signal: AbortSignal;
  /** Nobody wants what is computed either. It aborts with or after `signal`. */
  readonly abandoned: AbortSignal;
}

/**
 * One optimizer update, together with all other ranks; when it ends, well or not, nothing of it runs any
 * more. The place of a micro-batch among the step's decides its dropout and how it is mixed, whichever rank
 * computes it.
 *
 * @param batches those of `share`, in its order
 */
export async function takeStep(
  plan: StepSettings,
  batches: readonly LoadedBatch[],
  share: StepShare,
  context: StepContext,
): Promise<{ outcome: StepOutcome; cost: StepCost }> {
  const { config, keep } = context;
  const keyed = batches.map((batch, index): Placed<ImageBatch> => {
    const { pixels, labels, transforms, lighting } = batch;
    const microBatch = share.microBatches[index]!;
    const place = { step: plan.step, microBatch, count: labels.length };
    return {
      ...{ batch: { pixels, labels, transforms, lighting }, microBatch },
      key: randomKey(config.seed, plan.step, microBatch),
      ...(config.mixup > 0 ? { mixup: drawMixup(config.mixup, config.seed, place) } : {}),
    };
  });
  const { computed } = share;
  const rest = keyed.filter(({ microBatch }) => !computed.includes(microBatch));
  try {
    keep([]);
    const first = await tryStep(plan, rest, { largest: null, continues: computed.length > 0 }, context);
    if (first.applied.outcome !== 'overflow') return resultOf(first, first.applied, context);
    // The same gradients again, on a grid that is made for them.
    const second = await tryStep(plan, keyed, { largest: first.applied.largest, continues: false }, context);
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

/** The grid of a sum, and whether it adds to one that `compute` has. */
type Basis = Pick<GradientRequest, 'largest'> & { readonly continues: boolean };

async function tryStep(
  plan: StepSettings,
  keyed: readonly Placed<ImageBatch>[],
  basis: Basis,
  context: StepContext,
): Promise<Attempt> {
  const { config, compute } = context;
  const started = performance.now();
  const { summaries, stop, keep, snapshot, ringSeconds, computedAt } = await sumUp(
    plan,
    keyed,
    basis,
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

/**
 * The step's sum, in the vector; when it ends, well or not, nothing of it runs any more. Where it is cut off, this
 * rank's part of it is computed to its end: those who take the step again need it.
 */
async function sumUp(
  { step, trainable, microBatches }: StepSettings,
  keyed: readonly Placed<ImageBatch>[],
  { largest, continues }: Basis,
  context: StepContext,
): Promise<ReducedParts & { readonly computedAt: number }> {
  const { compute, layout, isAlone, signal, abandoned } = context;
  const request = { trainable, microBatches: microBatches.length, largest };
  if (isAlone && !continues) {
    const summary = await compute.sumAlone(keyed, request);
    signal.throwIfAborted();
    const computedAt = performance.now();
    return { summaries: [summary], ...context.requests(step), ringSeconds: 0, computedAt };
  }
  const cancelled = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const cancel = () => void Atomics.store(cancelled, 0, 1);
  abandoned.addEventListener('abort', cancel);
  // All at once: the compute thread goes from one to the next while the ring carries what is known.
  const parts = layout.parts.map((_, part) =>
    compute.gradientPart(part, keyed, { ...request, continues, cancelled }),
  );
  for (const part of parts) part.catch(cancel);
  const computed = Promise.allSettled(parts).then((outcomes) => ({ outcomes, at: performance.now() }));
  try {
    const reduced = await reduceParts(parts, context, () => context.requests(step));
    return { ...reduced, computedAt: (await computed).at };
  } catch (error) {
    const { outcomes } = await computed;
    const last = outcomes.at(-1)!;
    // Those that do not fit the step's usual grid are of no use to another attempt.
    if (largest === null && last.status === 'fulfilled') context.keep(last.value!.microBatches);
    throw error;
  } finally {
    abandoned.removeEventListener('abort', cancel);
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
