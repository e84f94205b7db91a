import type { RunConfig } from '../../plan/run-config.js';
import type { Dataset } from '../../proto/dataset.js';
import { RondoError } from '../../runtime/errors.js';
import { type Checkpoint, streamCheckpoint } from '../checkpoints/checkpoint-file.js';
import { type RunAccess, reachableAddress } from '../cluster/run-access.js';
import type { ClusterListener } from '../membership/cluster-events.js';
import type { CoordinatorRecordFile } from '../run-store/coordinator-record.js';
import { removeTokenFile } from '../run-store/run-directory.js';
import type { RunEvent } from '../telemetry/run-events.js';
import { announce } from './announce.js';
import type { OpenResources } from './open-resources.js';
import type { LeftRun } from './prepare-run.js';
import type { MetricsAddress } from './record-metrics.js';
import type { RunningCluster, RunServices } from './services.js';

/** One task of a cluster, and where its workers are. */
export interface ClusterTask {
  readonly config: RunConfig;
  readonly dataset: Dataset;
  /** Used when there is no checkpoint. */
  readonly pretrainedPath: string | null;
  readonly workers: number;
  /** Launched on this machine; the others join at `listen`. */
  readonly localWorkers: number;
  /** Disk of this machine for decoded images, in GiB. */
  readonly cacheGib: number;
  readonly listen: string;
  /** HOST:PORT by which others reach it, when that is elsewhere. */
  readonly advertise?: string | null;
  /** The run's token may travel between machines, unencrypted; false unless given. */
  readonly insecure?: boolean;
}

export interface RunOnClusterOptions<Result> {
  readonly task: ClusterTask;
  /** With fewer workers the work waits. */
  readonly minWorkers: number;
  /** Further ones are refused. */
  readonly maxWorkers: number;
  /** A worker silent for so long is lost, and every other wait follows. */
  readonly silenceMs: number;
  /** A snapshot is taken after every so many steps; 0 for none but those of epochs. */
  readonly snapshotSteps: number;
  readonly access: RunAccess;
  /** Of the run, whose authority and tokens it holds. */
  readonly identity: string;
  /** What a coordinator that died left; null unless its workers are waited for. */
  readonly left: LeftRun | null;
  /** Is told what a coordinator that takes this one's place must know; null where nobody does. */
  readonly record: CoordinatorRecordFile | null;
  /** Those who may join were told how before. */
  readonly announced?: boolean;
  /** Holds the run's token while others may join by it, and is gone afterwards. */
  readonly tokenFile: string;
  readonly logDir: string;
  readonly nats: MetricsAddress;
  readonly listener: ClusterListener;
  /** What the run's workers computed with before it was resumed, in words. */
  readonly knownKernels?: string;
  /** What the reader should do after the run ended early. */
  readonly endRemedy: string;
  readonly services: Pick<RunServices, 'openCluster' | 'launchWorkers'>;
  report(event: RunEvent): void;
  readonly signal: AbortSignal;
  /** What workers take up at each start from a checkpoint. */
  checkpoint(): Checkpoint;
  /** Has the workers do the task. */
  work(cluster: RunningCluster): Promise<Result>;
  /** What is done to the cluster when `signal` aborts. */
  onAbort(cluster: RunningCluster): void;
  /** Receives what is opened, for the caller to close. */
  readonly resources: OpenResources;
}

function noteWorker(record: CoordinatorRecordFile | null, workerId: string, pid: number): void {
  const others = record?.value.workers.filter((each) => each.workerId !== workerId) ?? [];
  record?.change({ workers: [...others, { workerId, pid }] });
}

/**
 * Opens a cluster, launches its local workers, and has all of them do a task.
 *
 * @throws RondoError as `RunServices.openCluster` and `work` do.
 */
export async function runOnCluster<Result>(o: RunOnClusterOptions<Result>): Promise<Result> {
  const { task, access, services, resources, signal, nats, logDir, minWorkers, maxWorkers, silenceMs } = o;
  const { config, dataset, pretrainedPath, workers, localWorkers, cacheGib, listen } = task;
  const workerIds = Array.from({ length: localWorkers }, (_, index) => `worker-${index}`);
  const cluster = await services.openCluster({
    ...{ config, dataset, pretrainedPath, listen, access, silenceMs, snapshotSteps: o.snapshotSteps },
    ...{ worldSize: workers, minWorkers, maxWorkers },
    welcome: { natsUrl: nats.url, natsToken: nats.token, natsCertificates: nats.certificates },
    ...{ adopted: o.left?.adopted ?? null, lastGeneration: BigInt(o.left?.record.newest ?? 0) },
    checkpoint: () => streamCheckpoint(o.checkpoint()),
    launched: { workerIds, logDir },
    listener: o.listener,
    ...(o.knownKernels === undefined ? {} : { knownKernels: o.knownKernels }),
    endRemedy: o.endRemedy,
  });
  resources.cluster = cluster;
  const abort = () => o.onAbort(cluster);
  try {
    o.record?.change({ address: cluster.address, localWorkers });
    if (!o.announced) {
      await announce({ ...task, ...o, maxWorkers, bound: cluster.address }, o.report);
    }
    if (localWorkers > 0) {
      const launched = services.launchWorkers({
        ...{
          count: localWorkers,
          coordinatorAddress: reachableAddress(cluster.address, null),
          access,
          logDir,
          cacheGib,
        },
        threads: config.threads,
        earlier: o.left?.record.workers ?? [],
        onCount(count) {
          try {
            o.record?.change({ localWorkers: count });
          } catch (error) {
            o.report({ kind: 'warning', text: RondoError.from(error).message });
          }
        },
        hasLeft: cluster.hasLeft,
        onStart: (workerId, pid) => noteWorker(o.record, workerId, pid),
        onRestart: ({ message }) => o.report({ kind: 'warning', text: `started again: ${message}` }),
        onFailure: (error) => cluster.workerExited(error),
      });
      resources.workers = launched;
    }
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    return await o.work(cluster);
  } finally {
    signal.removeEventListener('abort', abort);
    void resources.workers?.exited();
    // Also one that a coordinator left behind which was killed.
    removeTokenFile(o.tokenFile);
  }
}
