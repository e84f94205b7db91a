import { RondoError } from '../../runtime/errors.js';
import { openKubernetesApi } from '../kubernetes/api.js';
import { showProgress } from '../kubernetes/progress.js';
import { isServiceAccountToken, reviewToken } from '../kubernetes/review-token.js';
import { dismissWorkers, openWorkload, type Workload } from '../kubernetes/workload.js';
import { parseWorkloadName, type WorkloadName } from '../kubernetes/workload-kinds.js';
import type { RunEvent } from '../telemetry/run-events.js';
import type { RunServices } from './services.js';
import type { TrainContext } from './train-context.js';

/** A run whose coordinator is in a pod, and whose workers are the pods of a Job or StatefulSet. */
export interface PodRun {
  /** Workers join by service-account tokens where they have no other, and find the run's authority in a ConfigMap. */
  readonly services: RunServices;
  readonly scale: NonNullable<TrainContext['scale']>;
  hear(event: RunEvent): void;
  /** As many as there are to be pods for; waits while there are none. */
  workers(signal: AbortSignal): Promise<number>;
  close(): Promise<void>;
}

/** @throws RondoError failed-precondition where the environment does not name what the chart makes. */
export async function openPodRun(
  services: RunServices,
  environment: NodeJS.ProcessEnv,
  report: (event: RunEvent) => void,
): Promise<PodRun> {
  const api = openKubernetesApi(environment);
  const name = workersOf(environment);
  const configMap = named(environment, 'RONDO_KUBERNETES_CA');
  const workersPerPod = Number(environment.RONDO_KUBERNETES_WORKERS_PER_POD ?? 1);
  if (!Number.isInteger(workersPerPod) || workersPerPod < 1) {
    throw new RondoError('invalid-argument', 'RONDO_KUBERNETES_WORKERS_PER_POD is no number of workers');
  }
  const workload = await openWorkload(api, name, workersPerPod);
  const progress = showProgress(api, workload, { podName: environment.POD_NAME ?? 'coordinator' });
  workload.onChange((wanted) => {
    const who = `${name.kind} ${name.name}`;
    const text =
      wanted === 0
        ? `${who} is suspended, or is to have no pods: the run waits`
        : `workers that ${who} is to have pods for: ${wanted}`;
    report({ kind: 'note', text });
  });
  return {
    services: {
      ...services,
      async openAccess(options) {
        const review = async (token: string, workerId: string) =>
          isServiceAccountToken(token) ? reviewToken(api, { token, workerId, workload: name }) : null;
        const access = await services.openAccess({
          ...options,
          ...(options.joinTokenFile == null && { review }),
        });
        if (access.authority !== null) {
          const certificate = access.authority.credentials.identity.authority;
          const path = `/api/v1/namespaces/${api.namespace}/configmaps/${configMap}`;
          await api.patch(path, { data: { 'ca.crt': certificate } });
        }
        return access;
      },
    },
    async scale(workers) {
      await workload.scale(workers);
      return { starting: [], stopping: [] };
    },
    hear: progress.hear,
    workers: (signal) => awaitWanted(workload, report, signal),
    async close() {
      workload.close();
      await progress.close();
    },
  };
}

/**
 * Has the pods of workers that ended with their run not started again, if need be; see `dismissWorkers`.
 *
 * @throws RondoError as `openPodRun` does.
 */
export function dismissPods(environment: NodeJS.ProcessEnv, signal: AbortSignal): Promise<void> {
  return dismissWorkers(openKubernetesApi(environment), workersOf(environment), signal);
}

function workersOf(environment: NodeJS.ProcessEnv): WorkloadName {
  return parseWorkloadName(named(environment, 'RONDO_KUBERNETES_WORKERS'));
}

function named(environment: NodeJS.ProcessEnv, variable: string): string {
  const value = environment[variable];
  if (value) return value;
  throw new RondoError('failed-precondition', `--kubernetes is given, and ${variable} is not set`, {
    remedy: 'install the chart in deploy/chart, which sets it',
  });
}

async function awaitWanted(
  workload: Workload,
  report: (event: RunEvent) => void,
  signal: AbortSignal,
): Promise<number> {
  const { kind, name, wanted } = workload;
  if (wanted > 0) return wanted;
  report({ kind: 'note', text: `${kind} ${name} is suspended, or has no pods: waiting for them` });
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(RondoError.from(signal.reason)), { once: true });
    workload.onChange((changed) => {
      if (changed > 0) resolve(changed);
    });
  });
}
