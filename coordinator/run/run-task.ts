import { rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { makeTemporaryFolder } from '../../runtime/make-folder.js';
import type { Checkpoint } from '../checkpoints/checkpoint-file.js';
import type { ClusterListener } from '../membership/cluster-events.js';
import { defaults } from '../options/run-options.js';
import type { RunEvent } from '../telemetry/run-events.js';
import {
  closeResources,
  destroyResources,
  fullDeadlines,
  noResources,
  type OpenResources,
  shortDeadlines,
} from './open-resources.js';
import { type ClusterTask, runOnCluster } from './run-on-cluster.js';
import type { ClusterResult, RunServices } from './services.js';

/** A task, what its workers begin with, and who hears of it. */
export interface ClusterWork extends ClusterTask {
  /** The state to begin with; null for the seed's, with the pretrained weights over it. */
  readonly checkpoint: Checkpoint | null;
  /** Counted over the run. */
  readonly startStep: number;
  readonly listener: Partial<ClusterListener>;
}

export interface TaskContext {
  readonly services: Pick<RunServices, 'openAccess' | 'openCluster' | 'launchWorkers'>;
  report(event: RunEvent): void;
  /** Aborts to end the work; then, `immediate`, to end at once. */
  readonly signals: { readonly signal: AbortSignal; readonly immediate: AbortSignal };
}

/**
 * Gathers workers, has them do a task of which no ledger and no metrics are recorded, and dismisses them. No
 * process is left running, however it ends; only the logs of workers that failed are kept, in the folder that
 * the error names.
 *
 * @throws RondoError cancelled when the signal comes, else as `Cluster.run` does.
 */
export async function runTask(work: ClusterWork, context: TaskContext): Promise<ClusterResult> {
  const { immediate } = context.signals;
  const resources = noResources();
  const endAtOnce = () => destroyResources(resources);
  immediate.addEventListener('abort', endAtOnce, { once: true });
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
    // Empty where no worker was launched.
    else await rmdir(logDir).catch(() => {});
    throw error;
  } finally {
    immediate.removeEventListener('abort', endAtOnce);
  }
}

async function gatherAndRun(
  work: ClusterWork,
  { services, report, signals }: TaskContext,
  resources: OpenResources,
  logDir: string,
): Promise<ClusterResult> {
  const { checkpoint, startStep } = work;
  const { signal } = signals;
  signal.throwIfAborted();
  try {
    const identity = join(logDir, 'identity');
    const { listen, insecure = false, config } = work;
    const access = await services.openAccess({ listen, insecure, runId: config.runId, folder: identity });
    resources.access = access;
    return await runOnCluster({
      ...{ task: work, services, report, signal, resources, logDir },
      ...{ minWorkers: 1, maxWorkers: work.workers, silenceMs: 1_000 * defaults.silenceLimit },
      ...{ snapshotSteps: 0, left: null, record: null },
      ...{ access, identity },
      tokenFile: join(logDir, 'token'),
      nats: { url: '', token: '', certificates: false },
      listener: { ...ignoreAll, ...work.listener },
      endRemedy: 'nothing was changed: try again',
      checkpoint: () => checkpoint!,
      async work(cluster) {
        const source = checkpoint === null ? 'fresh' : 'checkpoint';
        for (;;) {
          const result = await cluster.run({ step: startStep, source });
          if (!result.stateLost) return result;
        }
      },
      // There is no state to save, so the run is rejected as cancelled without waiting for the current step.
      onAbort: (cluster) => void cluster.close(false, RondoError.from(signal.reason).message),
    });
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}

export const ignoreAll: ClusterListener = {
  decided() {},
  assigned() {},
  ready() {},
  stepCommitted() {},
  evaluating() {},
  evaluated() {},
  epochCompleted() {},
  workerLost() {},
  recovered() {},
  short() {},
  warning() {},
};
