import type { Division } from '../../plan/micro-batches.js';
import type {
  Activity,
  EpochCompleted,
  Evaluation,
  Finished as FinishedReport,
  StateCopy,
  StepCommitted,
} from '../../proto/gen/coordinator.js';
import type { RondoError } from '../../runtime/errors.js';
import type { ChangeCause } from '../telemetry/run-events.js';
import type { AnswersByRank } from './answers-by-rank.js';
import type { WorkerPlace } from './cluster-events.js';

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
  /** Hosts of one zone are near each other; empty when it did not say. */
  readonly zone: string;
  readonly pid: number;
  readonly heardAtMs: number;
  /** What its last heartbeat said. */
  readonly activity: Activity;
  readonly evaluated: number;
  /** It was asked to end, and is told Goodbye as soon as nobody needs it. */
  readonly leaving: boolean;
}

/** A state of the run that a worker holds. */
export interface HeldState {
  readonly step: number;
  readonly digest: string;
  /** Of the step that follows, which was cut off: the micro-batches that it has computed. */
  readonly microBatches: readonly number[];
  /** The micro-batches of the validation set that it has evaluated in this state. */
  readonly evaluated: readonly number[];
}

/** A member without a rank. */
export interface Candidate extends Member {
  readonly readiness: /** Its data and its program are not open yet. */
    | { readonly kind: 'opening' }
    /** It had a rank, and has not yet said which state it holds. */
    | { readonly kind: 'interrupted' }
    /** It had a rank under a coordinator that died, and has not been heard from since. */
    | { readonly kind: 'away' }
    /** It is back, and goes on as it was until all are; `training` when its generation is still under way. */
    | { readonly kind: 'attached'; readonly training: boolean }
    /** A generation may take it; `held` is null for one that must copy a state first. */
    | { readonly kind: 'standby'; readonly held: HeldState | null };
}

/** Where the run begins. */
export interface Start {
  readonly step: number;
  readonly source: 'fresh' | 'checkpoint';
}

/** Where a rank's state comes from. */
export type StateOrigin =
  | { readonly kind: 'fresh' | 'checkpoint' | 'own' }
  | {
      readonly kind: 'peer';
      readonly workerId: string;
      readonly address: string;
      /** Of the state that it holds. */
      readonly digest: string;
    };

/** One immutable membership: who takes part, in rank order, from which step and whose state. */
export interface Generation {
  readonly number: bigint;
  readonly startStep: number;
  /** The epoch that ends with `startStep` has not been digested and evaluated by all. */
  readonly epochEndDue: boolean;
  /** Of the first step, where it was begun before; null where it is divided as all others. */
  readonly startDivision: Division | null;
  /** Those of each rank, as `placePartitions` has them. */
  readonly partitions: Division | null;
  readonly places: readonly WorkerPlace[];
  /** By rank. */
  readonly origins: readonly StateOrigin[];
}

/** How far the run has come, over all generations. */
export interface Progress {
  /** Steps committed by all, counted over the run. */
  readonly committed: number;
  /** The last epochs that all ranks have evaluated, and digested; -1 before the first. */
  readonly evaluatedEpoch: number;
  readonly digestedEpoch: number;
  /** Generations in a row that committed nothing. */
  readonly fruitless: number;
}

/** What the ranks of one generation have reported. */
export interface Reports {
  /** Of the state that all began with. */
  readonly startDigest: string;
  /** After how many steps the state is that all said last to hold. */
  readonly keptStep: number | null;
  /** Steps reported by each rank, counted over the run. */
  readonly reported: readonly number[];
  readonly steps: AnswersByRank<StepCommitted>;
  readonly evaluations: AnswersByRank<Evaluation>;
  /** By the steps that the state comes after. */
  readonly states: AnswersByRank<EpochCompleted>;
  readonly finished: AnswersByRank<FinishedReport>;
}

/** The last generation that had begun, and what its ranks had reported. */
export interface EndedGeneration {
  readonly generation: Generation;
  readonly reports: Reports;
}

/** Why the membership changes, and since when. */
export interface Change {
  readonly causes: readonly ChangeCause[];
  readonly sinceMs: number;
  /** The step under way was cut off. */
  readonly cutStep: boolean;
}

interface Base {
  /** Time of the last tick. */
  readonly checkedAtMs: number;
}

/** Waiting for workers that hold no state, and for the run to be started. */
export interface Gathering extends Base {
  readonly kind: 'gathering';
  readonly lastGeneration: bigint;
  /** The coordinator has formed no generation yet. */
  readonly isFirst: boolean;
  readonly members: readonly Candidate[];
  readonly start: Start | null;
  /** When it was started; means nothing before. */
  readonly startedAtMs: number;
  readonly stopped: boolean;
  /** Workers that asked to leave: they are no longer waited for. */
  readonly left: number;
}

interface Engaged extends Base {
  readonly generation: Generation;
  /** In rank order. */
  readonly members: readonly Member[];
  /** Those without a rank in this generation. */
  readonly standby: readonly Candidate[];
  readonly pace: Pace;
  readonly progress: Progress;
  /** The change that made this generation; null for a run's first. */
  readonly change: Change | null;
}

/** The assignment is out; waiting for every rank's Ready. */
export interface Preparing extends Engaged {
  readonly kind: 'preparing';
  readonly digests: readonly (string | null)[];
  /** Where the run begins, when its state is not that of an earlier generation. */
  readonly start: Start | null;
  readonly ended: EndedGeneration | null;
  /** By rank: what it copied from a peer. */
  readonly copies: readonly (StateCopy | null)[];
  readonly stopRequested: string | null;
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
  /** What follows when all have finished: the run ends, or its membership changes. */
  readonly purpose:
    | {
        readonly kind: 'end';
        readonly reason: string;
        /** What the ranks were to stop for first; they may leave their state then. */
        readonly change?: Change;
      }
    | { readonly kind: 'regroup'; readonly change: Change };
}

/**
 * A generation was interrupted: waiting until every survivor has said which state it holds, and until there
 * are enough of them.
 */
export interface Regrouping extends Base {
  readonly kind: 'regrouping';
  readonly interrupted: Generation;
  /** Null when none had begun. */
  readonly ended: EndedGeneration | null;
  /** As of the generation that was interrupted before it had begun. */
  readonly start: Start | null;
  readonly members: readonly Candidate[];
  readonly pace: Pace;
  readonly progress: Progress;
  readonly change: Change;
  readonly stopRequested: string | null;
  /** It was said that there are too few workers. */
  readonly isShort: boolean;
}

/** Every rank has finished; they wait for another start, or for Goodbye. */
export interface Finished extends Base {
  readonly kind: 'finished';
  readonly lastGeneration: bigint;
  readonly members: readonly Candidate[];
}

/** The run has failed, and all workers were told. */
export interface Failed extends Base {
  readonly kind: 'failed';
  readonly error: RondoError;
}

export type Membership = Gathering | Preparing | Running | Stopping | Regrouping | Finished | Failed;
export type Alive = Exclude<Membership, Failed>;
