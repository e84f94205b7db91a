import { RondoError } from '../../runtime/errors.js';
import { openKubernetesApi } from '../kubernetes/api.js';
import { showProgress } from '../kubernetes/progress.js';
import { isServiceAccountToken, reviewToken } from '../kubernetes/review-token.js';
import { openWorkersJob, type WorkersJob } from '../kubernetes/workers-job.js';
import type { RunEvent } from '../telemetry/run-events.js';
import type { RunServices } from './services.js';
import type { TrainContext } from './train-context.js';

/** A run whose coordinator is in a pod, and whose workers are the pods of a Job. */
export interface PodRun {
  /** Workers join by service-account tokens where they have no other, and find the run's authority in a ConfigMap. */
  readonly services: RunServices;
  readonly scale: NonNullable<TrainContext['scale']>;
  hear(event: RunEvent): void;
  /** As many as the Job has pods for; waits while there are none. */
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
  const jobName = named(environment, 'RONDO_KUBERNETES_JOB');
  const configMap = named(environment, 'RONDO_KUBERNETES_CA');
  const workersPerPod = Number(environment.RONDO_KUBERNETES_WORKERS_PER_POD ?? 1);
  if (!Number.isInteger(workersPerPod) || workersPerPod < 1) {
    throw new RondoError('invalid-argument', 'RONDO_KUBERNETES_WORKERS_PER_POD is no number of workers');
  }
  const job = await openWorkersJob(api, jobName, workersPerPod);
  const progress = showProgress(api, job, { jobName, podName: environment.POD_NAME ?? 'coordinator' });
  job.onChange((wanted) => {
    const text =
      wanted === 0
        ? `Job ${jobName} is suspended, or is to have no pods: the run waits`
        : `workers that Job ${jobName} is to have pods for: ${wanted}`;
    report({ kind: 'note', text });
  });
  return {
    services: {
      ...services,
      async openAccess(options) {
        const review = async (token: string, workerId: string) =>
          isServiceAccountToken(token) ? reviewToken(api, { token, workerId, job: jobName }) : null;
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
      await job.scale(workers);
      return { starting: [], stopping: [] };
    },
    hear: progress.hear,
    workers: (signal) => awaitWanted(job, jobName, report, signal),
    async close() {
      job.close();
      await progress.close();
    },
  };
}

function named(environment: NodeJS.ProcessEnv, variable: string): string {
  const value = environment[variable];
  if (value) return value;
  throw new RondoError('failed-precondition', `--kubernetes is given, and ${variable} is not set`, {
    remedy: 'install the chart in deploy/chart, which sets it',
  });
}

async function awaitWanted(
  job: WorkersJob,
  name: string,
  report: (event: RunEvent) => void,
  signal: AbortSignal,
): Promise<number> {
  if (job.wanted > 0) return job.wanted;
  report({ kind: 'note', text: `Job ${name} is suspended, or has no pods: waiting for them` });
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(RondoError.from(signal.reason)), { once: true });
    job.onChange((wanted) => {
      if (wanted > 0) resolve(wanted);
    });
  });
}
