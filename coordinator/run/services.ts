import type { RunConfig } from '../../plan/run-config.js';
import type { Dataset } from '../../proto/dataset.js';
import type { StateChunk } from '../../proto/gen/coordinator.js';
import type { CoordinatorMetric, Metric } from '../../proto/metrics.js';
import type { RondoError } from '../../runtime/errors.js';
import type { NatsMember } from '../../runtime/nats-session.js';
import type { PullState } from '../checkpoints/checkpoint-keeper.js';
import type { CheckWeights, FetchWeights } from '../checkpoints/pretrained.js';
import type { ClusterStatus } from '../cluster/cluster-status.js';
import type { RunControl, Scaling } from '../cluster/control.js';
import type { VerifierServer } from '../cluster/remote-verifiers.js';
import type { AccessOptions, RunAccess } from '../cluster/run-access.js';
import type { DataRemark } from '../dataset/remarks.js';
import type { SplitKind } from '../dataset/split.js';
import type { VerificationHelpers } from '../dataset/verify.js';
import type { ClusterListener, EvaluationResult } from '../membership/cluster-events.js';
import type { Adopted } from '../membership/reattach.js';
import type { CoordinatorRecord } from '../run-store/coordinator-record.js';
import type { History } from '../run-store/epoch-record.js';
import type { RunDirectory } from '../run-store/run-directory.js';
import type { DatasetProgress } from '../telemetry/run-events.js';

/** Steps taken over the run when the cluster finished, and whether it was asked to. */
export interface ClusterResult {
  readonly step: number;
  readonly stopped: boolean;
  readonly metrics: { readonly published: number; readonly dropped: number };
  /** Of the workers' state, before and after, when the task leaves it as it found it. */
  readonly restoredDigest?: string;
  /** All workers that held the run's state are gone: it must be run again from an earlier one. */
  readonly stateLost: boolean;
}

export interface RunningCluster {
  /** HOST:PORT that workers join. */
  readonly address: string;
  /** Rejects with a RondoError that names the worker, its rank and the step, where one is the cause. */
  run(start: { step: number; source: 'fresh' | 'checkpoint' }): Promise<ClusterResult>;
  /** Ends the run after the current step. */
  stop(reason: string): void;
  /** Has the workers hold a state inside the epoch too, if they are training. */
  snapshot(): void;
  /** All that the listener has heard is on the disk. */
  synced(): void;
  /** Whether the process asked to leave, or was told that all is done. */
  hasLeft(workerId: string, pid: number): boolean;
  /** A worker that was launched here ended badly and is not started again. */
  workerExited(error: RondoError): void;
  status(): ClusterStatus;
  close(ok: boolean, reason: string): Promise<void>;
  destroy(): void;
}

export interface LaunchedWorkers {
  /** Of those that are not asked to end. */
  readonly workerIds: readonly string[];
  /** Starts workers, or has some leave, until so many are left. */
  scale(count: number): Scaling;
  /** From now on none is started again; resolves when all have ended. */
  exited(): Promise<unknown>;
  close(graceMs: number): Promise<void>;
  /** They outlive this process. */
  leave(): void;
  destroy(): void;
}

export interface MetricsServer {
  /** It ended without being told to. Never rejects; may never resolve. */
  readonly failed: Promise<RondoError>;
  readonly url: string;
  /** It takes the certificates of the run's members. */
  readonly certificates?: boolean;
  readonly token: string;
  /** Its process, for a coordinator that takes this one's place. */
  readonly server: NonNullable<CoordinatorRecord['nats']>;
  /** It is recorded: from now on it outlives this process. */
  outlive(): void;
  close(): Promise<void>;
  destroy(): void;
}

/** Where a run is asked what it is at, and told how many workers to have. */
export interface ControlServer {
  readonly address: string;
  close(graceMs: number): Promise<void>;
}

export interface MetricsCollector {
  /** Never blocks, never throws. */
  publish(metric: CoordinatorMetric): void;
  close(options: { settleMs: number }): Promise<void>;
}

/** What a run needs of the rest of the coordinator; tests bring their own. */
export interface RunServices {
  openDataset(options: {
    data: string;
    labelPattern?: string;
    labelsFile?: string;
    validDir?: string;
    validPct: number;
    split: SplitKind;
    shuffleWindow: number;
    skipBroken: boolean;
    seed: number;
    onProgress(progress: Omit<DatasetProgress, 'kind'>): void;
    onQuarantined(files: readonly { readonly path: string; readonly reason: string }[]): void;
    /** Asked where many images are to be verified. */
    helpers?: VerificationHelpers | undefined;
    signal: AbortSignal;
  }): Promise<{
    dataset: Dataset;
    quarantined: readonly { readonly path: string; readonly reason: string }[];
    /** Where the validation set comes from, for people. */
    validation?: string;
    /** What the person should know of it. */
    remarks?: readonly DataRemark[];
  }>;
  readonly fetchWeights: FetchWeights;
  readonly checkWeights: CheckWeights;
  startMetricsServer(options: {
    storeDir: string;
    access: RunAccess;
    runId: string;
    /** HOST:PORT of the coordinator, whose host it listens on where members have certificates. */
    listen: string;
    /** Null for a free one. */
    port: number | null;
    /** One of a coordinator that died: if it still runs, it is taken over. */
    earlier: CoordinatorRecord['nats'];
    /** How long it outlives this process, once it is recorded. */
    outlivesMs: number;
  }): Promise<MetricsServer>;
  openCollector(options: {
    url: string;
    token: string;
    member?: NatsMember | undefined;
    runId: string;
    /** The number in the stream after which metrics are taken; null for those from now on. */
    after: number | null;
    /** Called with its number in the stream. When it throws, collecting ends and `onFailure` is called. */
    onMetric(metric: Metric, sequence: number): void;
    /** Something else came under the run's subjects. */
    onRefused(error: RondoError): void;
    onFailure(error: RondoError): void;
  }): Promise<MetricsCollector>;
  openAccess(options: AccessOptions): Promise<RunAccess>;
  /** Serves workers before there is a data set. */
  serveVerifiers(options: { listen: string; access: RunAccess }): Promise<VerifierServer>;
  openCluster(options: {
    listen: string;
    access: RunAccess;
    config: RunConfig;
    worldSize: number;
    minWorkers: number;
    maxWorkers: number;
    silenceMs: number;
    /** A snapshot is taken after every so many steps; 0 for none but those of epochs. */
    snapshotSteps: number;
    welcome: { natsUrl: string; natsToken: string; natsCertificates?: boolean };
    dataset: Dataset;
    pretrainedPath: string | null;
    checkpoint(step: number): AsyncIterable<StateChunk>;
    /** What a coordinator that died left; null unless its workers are waited for. */
    adopted: Adopted | null;
    /** The number of the last generation of a coordinator that died; 0 without one. */
    lastGeneration: bigint;
    /** Those that are started on this machine, and where their logs are. */
    launched: { workerIds: readonly string[]; logDir: string };
    /** What workers computed with before the run was resumed, in words. */
    knownKernels?: string;
    listener: ClusterListener;
    /** What the reader should do after the run ended early. */
    endRemedy: string;
  }): Promise<RunningCluster>;
  launchWorkers(options: {
    count: number;
    coordinatorAddress: string;
    access: RunAccess;
    logDir: string;
    /** Those of a coordinator that died: the ones that still run are taken over. */
    earlier: CoordinatorRecord['workers'];
    /** So many are looked after from now on. */
    onCount(count: number): void;
    /** Whether a process whose exit code is unknown asked to leave, or was told that all is done. */
    hasLeft(workerId: string, pid: number): boolean;
    /** A worker's process runs. */
    onStart(workerId: string, pid: number): void;
    /** Of each. */
    threads: number;
    /** Disk for decoded images, in GiB. */
    cacheGib: number;
    /** A worker ended badly and is started again. */
    onRestart(error: RondoError): void;
    /** A worker ended badly and is not started again. */
    onFailure(error: RondoError): void;
  }): LaunchedWorkers;
  serveControl(control: RunControl, token: string): Promise<ControlServer>;
  pullState(
    address: string,
    options: Parameters<PullState>[1] & { access: RunAccess },
  ): ReturnType<PullState>;
  /** Writes the report of an evaluation into the run's directory and returns the path of its page. */
  writeReport(content: {
    directory: RunDirectory;
    history: History;
    /** Whose validation samples were evaluated. */
    dataset: Dataset;
    evaluation: EvaluationResult;
    /** Which state was evaluated, such as "after epoch 3". */
    origin: string;
  }): Promise<string>;
  nowMs(): number;
}
