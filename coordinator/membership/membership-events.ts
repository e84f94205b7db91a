import type { CoordinatorMessage, WorkerMessage } from '../../proto/gen/coordinator.js';
import type { RondoError } from '../../runtime/errors.js';
import type {
  CommittedStep,
  Decided,
  EpochEnd,
  EvaluationResult,
  ReadyWorker,
  Recovery,
  WorkerLoss,
} from './cluster-events.js';
import type { Generation, Membership, Start } from './membership-state.js';

export type Event =
  | { readonly kind: 'start'; readonly start: Start }
  | { readonly kind: 'message'; readonly session: number; readonly message: WorkerMessage }
  | { readonly kind: 'closed'; readonly session: number; readonly reason: string }
  /** A worker that was launched here is not started again. */
  | { readonly kind: 'exited'; readonly error: RondoError }
  /** The coordinator itself cannot go on. */
  | { readonly kind: 'abort'; readonly error: RondoError }
  | { readonly kind: 'stop'; readonly reason: string }
  /** The ranks are to hold a state inside the epoch too. */
  | { readonly kind: 'snapshot' }
  /** All that was to be recorded so far is on the disk. */
  | { readonly kind: 'synced' }
  | { readonly kind: 'close'; readonly ok: boolean; readonly reason: string }
  | { readonly kind: 'tick' };

export interface RunResult {
  /** Steps taken, counted over the run. */
  readonly step: number;
  readonly stopped: boolean;
  /** All workers that held the run's state are gone: it must be started again from an earlier one. */
  readonly stateLost: boolean;
  readonly metrics: { readonly published: number; readonly dropped: number };
  /** Of the state of every worker, before and after, when the run leaves it as it found it. */
  readonly restoredDigest?: string;
}

export type Effect =
  | { readonly kind: 'send'; readonly session: number; readonly message: CoordinatorMessage }
  /** Say Goodbye, then end the session. */
  | { readonly kind: 'dismiss'; readonly session: number; readonly ok: boolean; readonly reason: string }
  /** End the session with an error. */
  | { readonly kind: 'refuse'; readonly session: number; readonly error: RondoError }
  | { readonly kind: 'assigned'; readonly generation: Generation }
  /** To be on the disk before the effects that follow. */
  | { readonly kind: 'decided'; readonly value: Decided }
  | { readonly kind: 'ready'; readonly value: ReadyWorker }
  | { readonly kind: 'stepCommitted'; readonly value: CommittedStep }
  | { readonly kind: 'evaluating'; readonly rank: number; readonly images: number }
  | { readonly kind: 'evaluated'; readonly value: EvaluationResult }
  | { readonly kind: 'epochCompleted'; readonly value: EpochEnd }
  | { readonly kind: 'workerLost'; readonly value: WorkerLoss }
  | { readonly kind: 'recovered'; readonly value: Recovery }
  /** Fewer workers than the run needs. */
  | { readonly kind: 'short'; readonly workers: number; readonly needed: number }
  | { readonly kind: 'warning'; readonly text: string }
  | { readonly kind: 'resolved'; readonly result: RunResult }
  | { readonly kind: 'rejected'; readonly error: RondoError };

export interface Transition {
  readonly state: Membership;
  readonly effects: readonly Effect[];
}
