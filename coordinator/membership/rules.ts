import type { Division } from '../../plan/micro-batches.js';
import type { StepPlan } from '../../plan/phases.js';
import type { Welcome } from '../../proto/gen/coordinator.js';

/** What every worker is welcomed with. */
export type CommonWelcome = Omit<Welcome, 'attached' | 'underWay'>;

/** What the reducer is told once: it holds for the whole run. */
export interface Rules {
  /** Workers that the run begins with. */
  readonly worldSize: number;
  /** With fewer the run waits. */
  readonly minWorkers: number;
  /** Further ones are refused. */
  readonly maxWorkers: number;
  readonly version: string;
  readonly welcome: CommonWelcome;
  readonly validCount: number;
  /** Micro-batches that an evaluation is cut into. */
  readonly evaluationBatches: number;
  readonly stepsPerEpoch: number;
  /** Of a step; null after the run's last. */
  planOf(step: number): Pick<StepPlan, 'sampleIds' | 'microBatches'> | null;
  /** `placePartitions` of the run. */
  placePartitions(hosts: readonly string[]): Division | null;
  /**
   * The run leaves every worker's state as it found it, and each says so by its digest when it has finished.
   * It ends when a worker is lost: nobody could put its state back.
   */
  readonly restoresState: boolean;
  /** A worker that is silent is lost before this is over. */
  readonly silenceMs: number;
  /** How long a worker that wants to leave waits for the step under way before that is cut off. */
  readonly leaveMs: number;
  /** How long launched workers have to make themselves ready, who they are, and where their logs are. */
  readonly gathering: {
    readonly timeoutMs: number;
    readonly logDir: string;
    readonly workerIds: readonly string[];
  };
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
