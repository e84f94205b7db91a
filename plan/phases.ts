import assert from 'node:assert/strict';
import { openEpochOrder } from './epoch-order.js';
import { oneCycleMomentum, oneCycleRate } from './learning-rates.js';
import {
  cutEpoch,
  type Division,
  microBatchesAt,
  type Range,
  shareOf,
  stepsPerEpoch,
} from './micro-batches.js';
import { type RangeTask, rangeTestMomentum, rangeTestRates } from './range-test.js';
import type { PhaseConfig, RunConfig, Trainable } from './run-config.js';

/** Where a step stands in the schedule. Every index counts from 0. */
export interface RatePlan {
  readonly phase: number;
  readonly stepInPhase: number;
  readonly trainable: Trainable;
  /** Of this step, one per layer group, early to late. */
  readonly learningRates: readonly number[];
  readonly momentum: number;
  readonly lastOfPhase: boolean;
}

/**
 * All that ranks must know of one step. Every index counts from 0; epochs and steps count over the whole run.
 */
export interface StepPlan extends RatePlan {
  readonly step: number;
  readonly epoch: number;
  readonly stepInEpoch: number;
  /** The global batch, in order. */
  readonly sampleIds: Uint32Array;
  /** Positions in `sampleIds`. */
  readonly microBatches: readonly Range[];
  readonly lastOfEpoch: boolean;
  readonly lastOfRun: boolean;
}

/** fastai's `pct_start`: the share of a phase's steps before the peak. */
const warmupShare = 0.3;

/** What happens at step `step` (0 … totalSteps−1), the same on every rank of every world size. */
export function planStep(config: RunConfig, step: number): StepPlan {
  const cut = cutEpoch(config);
  const steps = totalSteps(config);
  assert(Number.isInteger(step) && step >= 0 && step < steps, `step ${step} is outside a run of ${steps}`);
  const epoch = Math.floor(step / cut.steps);
  const stepInEpoch = step % cut.steps;
  const start = stepInEpoch * config.batchSize;
  const order = openEpochOrder(config, epoch);
  const microBatches = microBatchesAt(cut, stepInEpoch);
  const samples = microBatches.at(-1)!.end;
  return {
    step,
    epoch,
    stepInEpoch,
    ...planRates(config, step),
    sampleIds: Uint32Array.from({ length: samples }, (_, index) => order(start + index)),
    microBatches,
    // A range test goes through the samples as training does, but nothing happens at an epoch's end.
    lastOfEpoch: stepInEpoch === cut.steps - 1 && config.task.kind === 'train',
    lastOfRun: step === steps - 1,
  };
}

/** A rank of a generation. */
export interface Place {
  readonly rank: number;
  readonly worldSize: number;
  /** Its own, ascending, as `placePartitions` has them. */
  readonly partitions: readonly number[] | null;
}

/**
 * Positions of the micro-batches of a step that a rank computes, ascending: those of its partitions, to which it keeps
 * in an epoch's last step too, which may have fewer; without partitions, neighbours.
 */
export function shareOfStep(
  { microBatches: { length } }: Pick<StepPlan, 'microBatches'>,
  { rank, worldSize, partitions }: Place,
): readonly number[] {
  if (partitions !== null) return partitions.filter((position) => position < length);
  const { start, end } = shareOf(length, rank, worldSize);
  return Array.from({ length: end - start }, (_, index) => start + index);
}

/** `shareOfStep` of all ranks, whose partitions are given by rank. */
export function divideStep(
  plan: Pick<StepPlan, 'microBatches'>,
  worldSize: number,
  partitions: Division | null = null,
): Division {
  return Array.from({ length: worldSize }, (_, rank) =>
    shareOfStep(plan, { rank, worldSize, partitions: partitions?.[rank] ?? null }),
  );
}

/** The ids of the samples of a step's micro-batches at `positions`, in that order. */
export function samplesAt(
  { microBatches, sampleIds }: Pick<StepPlan, 'microBatches' | 'sampleIds'>,
  positions: readonly number[],
): Uint32Array {
  const ranges = positions.map((position) => microBatches[position]!);
  return Uint32Array.from(ranges.flatMap(({ start, end }) => [...sampleIds.subarray(start, end)]));
}

/** The schedule of a step without its samples, which cost a permutation of the epoch. */
export function planRates(config: RunConfig, step: number): RatePlan {
  const { task, phases } = config;
  if (task.kind === 'lr-find') return planRangeTest(task, firstPhase(config), step);
  const perEpoch = stepsPerEpoch(config);
  const { index, phase, firstEpoch } = phaseOf(phases, Math.floor(step / perEpoch));
  const stepInPhase = step - firstEpoch * perEpoch;
  const steps = phase.epochs * perEpoch;
  const cycle = { steps, warmupSteps: Math.floor(warmupShare * steps) };
  return {
    phase: index,
    stepInPhase,
    trainable: phase.trainable,
    learningRates: phase.learningRates.map((peak) => oneCycleRate(stepInPhase, { ...cycle, peak })),
    momentum: oneCycleMomentum(stepInPhase, cycle),
    lastOfPhase: stepInPhase === steps - 1,
  };
}

/**
 * A range test asks for the rate of the first phase: its parameters, and its proportions between the groups.
 */
function planRangeTest(task: RangeTask, first: ReturnType<typeof firstPhase>, step: number): RatePlan {
  return {
    phase: first.index,
    stepInPhase: step,
    trainable: first.phase.trainable,
    learningRates: rangeTestRates(task, first.phase, step),
    momentum: rangeTestMomentum,
    lastOfPhase: false,
  };
}

/** Samples of the largest step: the last of an epoch may have a few more than the batch size. */
export function largestStep(config: RunConfig): number {
  const { trainCount, batchSize } = config;
  return Math.max(Math.min(batchSize, trainCount), trainCount - (stepsPerEpoch(config) - 1) * batchSize);
}

/**
 * Where a run goes on when the phase of `epoch` ends with it: the next phase's first step; `totalSteps` after
 * the last phase.
 */
export function nextPhaseStep(config: RunConfig, epoch: number): number {
  const { phase, firstEpoch } = phaseOf(config.phases, epoch);
  return (firstEpoch + phase.epochs) * stepsPerEpoch(config);
}

/** Epochs that end with an evaluation: none unless the task is to train. */
export function totalEpochs({ task, phases }: RunConfig): number {
  return task.kind === 'train' ? phases.reduce((sum, phase) => sum + phase.epochs, 0) : 0;
}

/** The most steps that are taken: a range test may end before. */
export function totalSteps(config: RunConfig): number {
  const { task } = config;
  return task.kind === 'lr-find' ? task.steps : totalEpochs(config) * stepsPerEpoch(config);
}

/** The sets of parameters that the run computes gradients of. */
export function trainableSets(config: RunConfig): Trainable[] {
  switch (config.task.kind) {
    case 'train':
      return [...new Set(config.phases.map((phase) => phase.trainable))];
    case 'lr-find':
      return [firstPhase(config).phase.trainable];
    case 'evaluate':
      return [];
  }
}

function firstPhase({ phases }: RunConfig) {
  return phaseOf(phases, 0);
}

function phaseOf(phases: readonly PhaseConfig[], epoch: number) {
  let firstEpoch = 0;
  for (const [index, phase] of phases.entries()) {
    if (epoch < firstEpoch + phase.epochs) return { index, phase, firstEpoch };
    firstEpoch += phase.epochs;
  }
  assert.fail(`epoch ${epoch} is in no phase`);
}

/** The steps that begin a phase, counted from 0 over the run. */
export function firstStepsOf(config: RunConfig): ReadonlySet<number> {
  const perEpoch = stepsPerEpoch(config);
  const steps = new Set<number>();
  let epoch = 0;
  for (const { epochs } of config.phases) {
    steps.add(epoch * perEpoch);
    epoch += epochs;
  }
  return steps;
}
