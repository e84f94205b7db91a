import type {
  Activity,
  CoordinatorMessage,
  EpochCompleted,
  Evaluation,
  Finished as FinishedReport,
  StateSource,
  StepCommitted,
  Welcome,
  WorkerMessage,
} from '../../proto/gen/coordinator.js';
import type { RondoError } from '../../runtime/errors.js';
import type { AnswersByRank } from './answers-by-rank.js';
import type {
  CommittedStep,
  EpochEnd,
  EvaluationResult,
  ReadyWorker,
  WorkerLoss,
  WorkerPlace,
} from './cluster-events.js';

/** What the reducer is told once: it holds for the whole run. */
export interface Rules {
  readonly worldSize: number;
  readonly version: string;
  readonly welcome: Welcome;
  readonly validCount: number;
  /**
   * The run leaves every worker's state as it found it, and each says so by its digest when it has finished.
   */
  readonly restoresState: boolean;
  /** A worker that was silent for this long is lost. */
  readonly silenceMs: number;
  /** How long launched workers have to register, and where their logs are; null where people join some. */
  readonly gathering: { readonly timeoutMs: number; readonly logDir: string } | null;
  readonly stall: StallRules;
  /** How often a `tick` comes. */
  readonly tickMs: number;
  /** What the reader should do after the run ended early, e.g. the command that resumes it. */
  readonly endRemedy: string | undefined;
}

/** How long a generation may go on without progress of any rank, although all of them send heartbeats. */
export interface StallRules {
  /** At least this long. */
  readonly floorMs: number;
  /** And at least this many times as long as a step usually takes. */
  readonly multiple: number;
  /**
   * Before it is known how long a step takes, and at the first step of each phase: programs are built and
   * compiled.
   */
  readonly firstMs: number;
  /** The steps that begin a phase, counted from 0 over the run. */
  readonly firstSteps: ReadonlySet<number>;
}

/** When a generation last made progress, and how long its steps take. */
export interface Pace {
  readonly progressedAtMs: number;
  /** Null before the generation's second step. */
  readonly usualStepMs: number | null;
}

/** A registered worker. `session` is the connection it speaks through: a number that is never used again. */
export interface Member {
  readonly session: number;
  readonly workerId: string;
  readonly address: string;
  readonly host: string;
  readonly pid: number;
  readonly heardAtMs: number;
  /** What its last heartbeat said. */
  readonly activity: Activity;
  readonly evaluated: number;
}

/** Where the run begins. */
export interface Start {
  readonly step: number;
  readonly source: 'fresh' | 'checkpoint';
}

/** One immutable membership: who takes part, in rank order, from which step and whose state. */
export interface Generation {
  readonly number: bigint;
  readonly startStep: number;
  readonly stateSource: StateSource;
  readonly statePeerAddress: string;
  readonly places: readonly WorkerPlace[];
}

/** What the ranks of one generation have reported. */
export interface Reports {
  /** Of the state that all began with. */
  readonly startDigest: string;
  /** Steps committed by all, counted over the run. */
  readonly committed: number;
  /** Steps reported by each rank, counted over the run. */
  readonly reported: readonly number[];
  readonly steps: AnswersByRank<StepCommitted>;
  readonly evaluations: AnswersByRank<Evaluation>;
  readonly epochs: AnswersByRank<EpochCompleted>;
  readonly finished: AnswersByRank<FinishedReport>;
}

/**
 * A worker reported that a peer failed. The report is held for a moment: if a peer is lost meanwhile, that
 * one is named as the cause and not the worker that reported it.
 */
export interface Suspicion {
  readonly error: RondoError;
  readonly sinceMs: number;
  readonly reporters: readonly number[];
}

interface Base {
  /** Time of the last tick. */
  readonly checkedAtMs: number;
}

/** Waiting for workers to register, and for the run to be started. */
export interface Gathering extends Base {
  readonly kind: 'gathering';
  readonly lastGeneration: bigint;
  readonly members: readonly Member[];
  readonly start: Start | null;
  /** When it was started; means nothing before. */
  readonly startedAtMs: number;
  readonly stopped: boolean;
}

interface Engaged extends Base {
  readonly generation: Generation;
  /** In rank order. */
  readonly members: readonly Member[];
  readonly pace: Pace;
  readonly suspicion: Suspicion | null;
}

/** The assignment is out; waiting for every rank's Ready. */
export interface Preparing extends Engaged {
  readonly kind: 'preparing';
  readonly digests: readonly (string | null)[];
}

/** Training. */
export interface Running extends Engaged {
  readonly kind: 'running';
  readonly reports: Reports;
}

/** As running, after a Stop was sent. */
export interface Stopping extends Engaged {
  readonly kind: 'stopping';
  readonly reports: Reports;
}

/** Every rank has finished; they wait for another start, or for Goodbye. */
export interface Finished extends Base {
  readonly kind: 'finished';
  readonly lastGeneration: bigint;
  readonly members: readonly Member[];
}

/** The run has failed, and all workers were told. */
export interface Failed extends Base {
  readonly kind: 'failed';
  readonly error: RondoError;
}

export type Membership = Gathering | Preparing | Running | Stopping | Finished | Failed;

export type Event =
  | { readonly kind: 'start'; readonly start: Start }
  | { readonly kind: 'message'; readonly session: number; readonly message: WorkerMessage }
  | { readonly kind: 'closed'; readonly session: number; readonly reason: string }
  /** The process of a worker that was started here has ended. */
  | { readonly kind: 'exited'; readonly error: RondoError }
  /** The coordinator itself cannot go on. */
  | { readonly kind: 'abort'; readonly error: RondoError }
  | { readonly kind: 'stop'; readonly reason: string }
  | { readonly kind: 'close'; readonly ok: boolean; readonly reason: string }
  | { readonly kind: 'tick' };

export interface RunResult {
  /** Steps taken, counted over the run. */
  readonly step: number;
  readonly stopped: boolean;
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
  | { readonly kind: 'ready'; readonly value: ReadyWorker }
  | { readonly kind: 'stepCommitted'; readonly value: CommittedStep }
  | { readonly kind: 'evaluating'; readonly rank: number; readonly images: number }
  | { readonly kind: 'evaluated'; readonly value: EvaluationResult }
  | { readonly kind: 'epochCompleted'; readonly value: EpochEnd }
  | { readonly kind: 'workerLost'; readonly value: WorkerLoss }
  | { readonly kind: 'resolved'; readonly result: RunResult }
  | { readonly kind: 'rejected'; readonly error: RondoError };

export interface Transition {
  readonly state: Membership;
  readonly effects: readonly Effect[];
}
