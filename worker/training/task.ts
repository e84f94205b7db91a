import type { StepPlan } from '../../plan/phases.js';
import type { RunConfig, Trainable } from '../../plan/run-config.js';
import type { BatchLoader } from './batches.js';
import type { Compute } from './compute.js';
import type { EvaluationPlace, EvaluationShare } from './evaluate.js';
import type { Snapshot, Snapshots } from './snapshots.js';
import type { Digests } from './state-digests.js';
import type { StepContext, StepCost, StepOutcome, StepShare } from './step.js';

/** What one rank works with, whatever the run's task. */
export interface TaskOptions extends EvaluationPlace {
  readonly config: RunConfig;
  /** This rank's, as `Place` has them. */
  readonly partitions: readonly number[] | null;
  /** This rank's part of the first step, where that was begun before; null where it is as of all others. */
  readonly startShare: StepShare | null;
  /** Not all ranks have digested and evaluated the epoch that ends with `startStep`. */
  readonly epochEndDue: boolean;
  /** Resolves when the next epoch may begin: all ranks have reported the end of this one. */
  epochClosed(epoch: number): Promise<void>;
  readonly compute: Compute;
  readonly loader: BatchLoader;
  readonly snapshots: Snapshots;
  /** A step's context for each set of trainable parameters that the run has. */
  context(trainable: Trainable): StepContext;
  readonly signal: AbortSignal;
  /** Called with how many images of its share of an evaluation this rank has evaluated. */
  onEvaluated(images: number): void;
}

export interface StepEvent {
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

export interface SnapshotEvent {
  readonly kind: 'snapshot';
  readonly epoch: number;
  /** False inside the epoch. */
  readonly whole: boolean;
  /** It was taken because no more steps follow. */
  readonly stopped: boolean;
  readonly snapshot: Snapshot;
  readonly digests: Digests;
}

export type TaskEvent =
  | StepEvent
  | SnapshotEvent
  | {
      readonly kind: 'evaluation';
      readonly epoch: number;
      readonly step: number;
      readonly share: EvaluationShare;
    };

export interface TaskEnd {
  /** Steps taken since the run's beginning. */
  readonly step: number;
  /** By agreement of the ranks, on request. */
  readonly stopped: boolean;
  /** Of the state that a task put back to what it was; null for one that does not. */
  readonly restoredDigest: string | null;
}

/** This rank's part of a task: what happens, then how it ended. */
export type TaskRun = AsyncGenerator<TaskEvent, TaskEnd>;
