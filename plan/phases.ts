import assert from 'node:assert/strict';
import { cutMicroBatches, type Range } from './micro-batches.js';
import { oneCycleMomentum, oneCycleRate } from './one-cycle.js';
import type { PhaseConfig, RunConfig, Trainable } from './run-config.js';
import { epochPermutation } from './sampler.js';

/** All that ranks must know of one step. Every index counts from 0; epochs and steps count over the whole run. */
export interface StepPlan {
  readonly step: number;
  readonly epoch: number;
  readonly stepInEpoch: number;
  readonly phase: number;
  readonly stepInPhase: number;
  readonly trainable: Trainable;
  /** Of this step, one per layer group, early to late. */
  readonly learningRates: readonly number[];
  readonly momentum: number;
  /** The global batch, in order. */
  readonly sampleIds: Uint32Array;
  /** Positions in `sampleIds`. */
  readonly microBatches: readonly Range[];
  readonly lastOfEpoch: boolean;
  readonly lastOfPhase: boolean;
  readonly lastOfRun: boolean;
}

/** fastai's `pct_start`: the share of a phase's steps before the peak. */
const warmupShare = 0.3;

/** What happens at step `step` (0 … totalSteps−1), the same on every rank of every world size. */
export function planStep(config: RunConfig, step: number): StepPlan {
  const perEpoch = stepsPerEpoch(config);
  const steps = totalSteps(config);
  assert(Number.isInteger(step) && step >= 0 && step < steps, `step ${step} is outside a run of ${steps}`);
  const epoch = Math.floor(step / perEpoch);
  const stepInEpoch = step % perEpoch;
  const { index, phase, firstEpoch } = phaseOf(config.phases, epoch);
  const stepInPhase = step - firstEpoch * perEpoch;
  const stepsInPhase = phase.epochs * perEpoch;
  const cycle = { steps: stepsInPhase, warmupSteps: Math.floor(warmupShare * stepsInPhase) };
  const lastOfEpoch = stepInEpoch === perEpoch - 1;
  const start = stepInEpoch * config.batchSize;
  const end = lastOfEpoch ? config.trainCount : start + config.batchSize;
  return {
    step,
    epoch,
    stepInEpoch,
    phase: index,
    stepInPhase,
    trainable: phase.trainable,
    learningRates: phase.learningRates.map((peak) => oneCycleRate(stepInPhase, { ...cycle, peak })),
    momentum: oneCycleMomentum(stepInPhase, cycle),
    sampleIds: epochPermutation(config.seed, epoch, config.trainCount).slice(start, end),
    microBatches: cutMicroBatches(end - start, config.microBatch),
    lastOfEpoch,
    lastOfPhase: stepInPhase === stepsInPhase - 1,
    lastOfRun: step === steps - 1,
  };
}

/** The partial last batch is a step too, unless it is a single sample: that one joins the batch before it. */
export function stepsPerEpoch(config: RunConfig): number {
  const full = Math.floor(config.trainCount / config.batchSize);
  const remainder = config.trainCount % config.batchSize;
  return full + (remainder > (full > 0 ? 1 : 0) ? 1 : 0);
}

export function totalEpochs(config: RunConfig): number {
  return config.phases.reduce((sum, phase) => sum + phase.epochs, 0);
}

export function totalSteps(config: RunConfig): number {
  return totalEpochs(config) * stepsPerEpoch(config);
}

function phaseOf(phases: readonly PhaseConfig[], epoch: number) {
  let firstEpoch = 0;
  for (const [index, phase] of phases.entries()) {
    if (epoch < firstEpoch + phase.epochs) return { index, phase, firstEpoch };
    firstEpoch += phase.epochs;
  }
  assert.fail(`epoch ${epoch} is in no phase`);
}
