import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunConfig } from '../../plan/run-config.js';
import type { Dataset } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { createRunToken } from '../../runtime/grpc/credentials.js';
import { makeTemporaryFolder } from '../../runtime/temporary-folder.js';
import { type Checkpoint, streamCheckpoint } from '../checkpoints/checkpoint-file.js';
import type { ClusterListener } from '../membership/cluster-events.js';
import { writeTokenFile } from '../run-store/token-file.js';
import type { RunEvent } from '../telemetry/run-events.js';
import {
  closeResources,
  destroyResources,
  fullDeadlines,
  noResources,
  type OpenResources,
  shortDeadlines,
} from './open-resources.js';
import type { ClusterResult, RunServices } from './services.js';

/** One task of a cluster, and what its workers begin with. */
export interface ClusterWork {
  readonly config: RunConfig;
  readonly dataset: Dataset;
  /** Used when there is no checkpoint. */
  readonly pretrainedPath: string | null;
  /** The state to begin with; null for the seed's, with the pretrained weights over it. */
  readonly checkpoint: Checkpoint | null;
  /** Counted over the run. */
  readonly startStep: number;
  readonly workers: number;
  /** Launched on this machine; the others join at `listen`. */
  readonly localWorkers: number;
  /** Null divides the cores among them. */
  readonly threads: number | null;
  readonly listen: string;
  readonly listener: Partial<ClusterListener>;
}

export interface OperateContext {
  readonly services: Pick<RunServices, 'openCluster' | 'launchWorkers'>;
  report(event: RunEvent): void;
  /** Aborts to end the work; then, `immediate`, to end at once. */
  readonly signals: { readonly signal: AbortSignal; readonly immediate: AbortSignal };
}

/**
 * Gathers workers, has them do a task of which no ledger and no metrics are recorded, and dismisses them. No process is
 * left running, however it ends; only the logs of workers that failed are kept, in the folder that the error names.
 *
 * @throws RondoError cancelled when the signal comes, else as `Cluster.run` does.
 */
export async function operateCluster(work: ClusterWork, context: OperateContext): Promise<ClusterResult> {
  const { immediate } = context.signals;
  const resources = noResources();
  const leaveAtOnce = () => destroyResources(resources);
  immediate.addEventListener('abort', leaveAtOnce, { once: true });
  const logDir = makeTemporaryFolder('rondo-logs-');
  try {
    const result = await gatherAndRun(work, context, resources, logDir);
    await closeResources(resources, true, 'the work is done', fullDeadlines);
    await rm(logDir, { recursive: true, force: true });
    return result;
  } catch (thrown) {
    const error = RondoError.from(thrown);
    await closeResources(resources, false, error.message, shortDeadlines);
    if (error.code === 'cancelled') await rm(logDir, { recursive: true, force: true });
    throw error;
  } finally {
    immediate.removeEventListener('abort', leaveAtOnce);
  }
}

async function gatherAndRun(
  work: ClusterWork,
  { services, report, signals }: OperateContext,
  resources: OpenResources,
  logDir: string,
): Promise<ClusterResult> {
  const { config, dataset, pretrainedPath, checkpoint, startStep, workers, localWorkers, listen } = work;
  const { signal } = signals;
  signal.throwIfAborted();
  const token = createRunToken();
  const cluster = await services.openCluster({
    ...{ token, config, dataset, pretrainedPath, listen, worldSize: workers },
    welcome: { natsUrl: '', natsToken: '' },
    checkpoint: () => streamCheckpoint(checkpoint!),
    listener: { ...ignoreAll, ...work.listener },
    endRemedy: 'nothing was changed: try again',
  });
  resources.cluster = cluster;
  const tokenFile = localWorkers < workers ? join(logDir, 'token') : null;
  if (tokenFile !== null) writeTokenFile(tokenFile, token);
  report({ kind: 'waiting', address: cluster.address, tokenFile, workers, localWorkers });
  if (localWorkers > 0) {
    const { threads } = work;
    const launched = services.launchWorkers({
      count: localWorkers,
      coordinatorAddress: cluster.address,
      token,
      logDir,
      threads,
    });
    resources.workers = launched;
    void launched.failed.then((error) => cluster.workerExited(error));
  }
  // There is no state to save, so the run is rejected as cancelled without waiting for the current step.
  const end = () => void cluster.close(false, RondoError.from(signal.reason).message);
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  try {
    return await cluster.run({ step: startStep, source: checkpoint === null ? 'fresh' : 'checkpoint' });
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', end);
  }
}

const ignoreAll: ClusterListener = {
  assigned() {},
  ready() {},
  stepCommitted() {},
  evaluating() {},
  evaluated() {},
  epochCompleted() {},
  workerLost() {},
};
