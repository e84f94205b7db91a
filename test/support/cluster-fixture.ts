import { type Cluster, type ClusterOptions, openCluster } from '../../coordinator/cluster/cluster.js';
import type {
  ClusterListener,
  CommittedStep,
  EpochEnd,
  EvaluationResult,
  Recovery,
  WorkerLoss,
} from '../../coordinator/membership/cluster-events.js';
import { testCredentials } from './credentials.js';
import { type FakeWorker, type FakeWorkerOptions, joinFakeWorker } from './fake-worker.js';
import { runConfig } from './run-config.js';
import { openStopVotes } from './stop-votes.js';

/** In two epochs, of five samples each. */
export const steps = 6;
export const config = runConfig({ trainCount: 15, batchSize: 5, microBatch: 1, validCount: 7 });

/** A cluster that keeps what its listener hears, and the fake workers that joined it. */
export interface ClusterFixture {
  readonly cluster: Cluster;
  readonly committed: CommittedStep[];
  readonly evaluations: EvaluationResult[];
  readonly ends: EpochEnd[];
  readonly losses: WorkerLoss[];
  readonly recoveries: Recovery[];
  readonly workers: FakeWorker[];
  join(id: string, changes?: Partial<FakeWorkerOptions>): FakeWorker;
}

const opened: Cluster[] = [];
export function destroyFixtures(): void {
  for (const cluster of opened.splice(0)) cluster.destroy();
}

export async function openFixture(
  worldSize: number,
  listener: Partial<ClusterListener> = {},
  options: Partial<ClusterOptions> = {},
): Promise<ClusterFixture> {
  const committed: CommittedStep[] = [];
  const evaluations: EvaluationResult[] = [];
  const ends: EpochEnd[] = [];
  const losses: WorkerLoss[] = [];
  const recoveries: Recovery[] = [];
  const workers: FakeWorker[] = [];
  const stopVotes = openStopVotes();
  const cluster = await openCluster({
    listen: '127.0.0.1:0',
    credentials: testCredentials,
    config,
    worldSize,
    welcome: { natsUrl: 'nats://127.0.0.1:4222', natsToken: 'secret' },
    dataset: { root: '/', classes: [...config.classes], train: [], valid: [], digest: 'none' },
    pretrainedPath: null,
    checkpoint: async function* () {},
    listener: {
      decided: () => {},
      assigned: () => {},
      ready: () => {},
      evaluating: () => {},
      evaluated: (evaluation) => evaluations.push(evaluation),
      epochCompleted: (end) => ends.push(end),
      workerLost: (loss) => losses.push(loss),
      recovered: (recovery) => recoveries.push(recovery),
      short: () => {},
      warning: () => {},
      ...listener,
      stepCommitted(step) {
        committed.push(step);
        listener.stepCommitted?.(step);
      },
    },
    version: '1.0.0',
    endRemedy: 'resume it',
    silenceMs: 1_000,
    ...options,
  });
  opened.push(cluster);
  const join: ClusterFixture['join'] = (id, changes = {}) => {
    const worker = joinFakeWorker({
      coordinatorAddress: cluster.address,
      id,
      stopVotes,
      config: options.config ?? config,
      ...changes,
    });
    workers.push(worker);
    return worker;
  };
  return { cluster, committed, evaluations, ends, losses, recoveries, workers, join };
}
