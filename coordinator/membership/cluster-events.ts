import type { Division } from '../../plan/micro-batches.js';
import type { Kernels } from '../../proto/gen/coordinator.js';
import type { Holder } from '../checkpoints/checkpoint-keeper.js';
import type { RecoveredEvent } from '../telemetry/run-events.js';

/** Who holds which rank of a generation. */
export interface WorkerPlace {
  readonly workerId: string;
  readonly rank: number;
  /** HOST:PORT of its peer service. */
  readonly address: string;
  readonly pid: number;
  readonly host: string;
}

/** A worker has everything to take part, and says what it computes with. */
export interface ReadyWorker extends WorkerPlace {
  readonly generation: bigint;
  readonly kernels: Kernels;
}

/**
 * A step that every rank has taken, with the same loss and counts; one that was lost meanwhile may not have
 * said so.
 */
export interface CommittedStep {
  readonly generation: bigint;
  readonly worldSize: number;
  /** Counted from 0 over the run. */
  readonly step: number;
  /** Mean over the global batch. */
  readonly loss: number;
  readonly correct: number;
  readonly samples: number;
  /** The reduced vector was not finite and every rank left its state as it was. */
  readonly skipped: boolean;
  /** The slowest rank's wall time. */
  readonly seconds: number;
  /** Sample ids by rank; of one that was lost before it said so, by the plan. */
  readonly shares: readonly Uint32Array[];
}

/** The whole validation set: arrays run in parallel, sorted by sample id, each id exactly once. */
export interface EvaluationResult {
  readonly epoch: number;
  /** Steps taken before it. */
  readonly step: number;
  readonly sampleIds: Uint32Array;
  /** By the training criterion, mixup aside. */
  readonly losses: Float32Array;
  readonly predictions: Uint32Array;
  /** How many classes the network finds likelier than the sample's label. */
  readonly labelRanks: Uint32Array;
  /** Of each sample's own label. */
  readonly probabilities: Float32Array;
}

/** All ranks hold the same state after `step` steps, and serve it by Peer.CopyState. */
export interface EpochEnd {
  readonly epoch: number;
  readonly step: number;
  readonly stateDigest: string;
  readonly parameterDigest: string;
  /** Every rank. */
  readonly holders: readonly Holder[];
  readonly generation: bigint;
  /** False inside the epoch. */
  readonly whole: boolean;
  /** The ranks take no more steps, and only therefore hold it. */
  readonly stopped: boolean;
}

export interface WorkerLoss {
  readonly workerId: string;
  readonly rank: number;
  /** The step it was at, counted from 0. */
  readonly step: number;
  readonly reason: string;
}

/** A generation took over from one that was interrupted. */
export interface Recovery extends Omit<RecoveredEvent, 'generation'> {
  readonly generation: bigint;
}

/** What must be known to take a coordinator's place when it dies: decided before anybody is told. */
export interface Decided {
  /** The number of the newest generation. */
  readonly newest: bigint;
  /** The last one that began; null before the first. */
  readonly begun: BegunGeneration | null;
}

export interface BegunGeneration {
  readonly number: bigint;
  readonly startStep: number;
  /** It began with the end of the epoch before. */
  readonly epochEndDue: boolean;
  /** Of its first step, where it was begun before; null where it is divided as all others. */
  readonly startDivision: Division | null;
  /** Those of each rank; null where it is the plan that divides each step. */
  readonly partitions: Division | null;
  /** In rank order. */
  readonly places: readonly WorkerPlace[];
  /** Of the state that it began with. */
  readonly startDigest: string;
}

/** Receives what happens in the cluster, in order; an error that a listener throws ends the run. */
export interface ClusterListener {
  /** Must be on the disk when this returns: only then are workers told. */
  decided(decided: Decided): void;
  assigned(generation: bigint, workers: readonly WorkerPlace[]): void;
  ready(worker: ReadyWorker): void;
  stepCommitted(step: CommittedStep): void;
  /** From time to time during an evaluation: how many images `rank` has evaluated. */
  evaluating(rank: number, images: number): void;
  evaluated(evaluation: EvaluationResult): void;
  epochCompleted(end: EpochEnd): void;
  workerLost(loss: WorkerLoss): void;
  recovered(recovery: Recovery): void;
  /** There are fewer workers than the run needs: it waits for more. */
  short(workers: number, needed: number): void;
  /** What does not end the run, and somebody should look at. */
  warning(text: string): void;
}
