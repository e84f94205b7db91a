import { z } from 'zod';
import { sleep } from '../../runtime/deadline.js';
import { RondoError } from '../../runtime/errors.js';
import { log } from '../../runtime/log.js';
import type { KubernetesApi } from './api.js';
import { type WorkloadKind, type WorkloadName, workloadKinds } from './workload-kinds.js';

const change = z.object({ type: z.string(), object: z.unknown() });
const againMs = 2_000;
const dismissAgainMs = 10_000;
/** Of a watch: the server ends it then. */
const watchSeconds = 300;

/** The Job or StatefulSet whose pods are a run's workers. */
export interface Workload extends WorkloadName {
  readonly apiVersion: string;
  readonly uid: string;
  /** Workers that its pods are to be; 0 while it is suspended. */
  readonly wanted: number;
  /** Calls `listener` with that whenever somebody changed it. */
  onChange(listener: (wanted: number) => void): void;
  /** @throws RondoError invalid-argument for what is no whole number of pods; what the API server says. */
  scale(workers: number): Promise<void>;
  annotate(annotations: Readonly<Record<string, string>>): Promise<void>;
  /** Ends the watching. */
  close(): void;
}

/**
 * @param workersPerPod each pod's.
 * @throws RondoError what the API server says when it cannot be read.
 */
export async function openWorkload(
  api: KubernetesApi,
  { kind, name }: WorkloadName,
  workersPerPod: number,
): Promise<Workload> {
  const { apiVersion, schema, sizeOf, scaleAt, annotateAt }: WorkloadKind = workloadKinds[kind];
  const collection = collectionOf(api, kind);
  const path = `${collection}/${name}`;
  const end = new AbortController();
  const listeners = new Set<(wanted: number) => void>();
  let newest = await api.get(path, schema);
  const take = (next: typeof newest) => {
    const before = newest.pods;
    newest = next;
    if (newest.pods === before) return;
    for (const listener of listeners) listener(newest.pods * workersPerPod);
  };
  const follow = async () => {
    const query = new URLSearchParams({
      ...{ watch: 'true', fieldSelector: `metadata.name=${name}`, timeoutSeconds: String(watchSeconds) },
      resourceVersion: newest.resourceVersion,
    });
    await api.watch(`${collection}?${query}`, {
      ...{ schema: change, signal: end.signal },
      take({ type, object }) {
        const parsed = schema.safeParse(object);
        if (type === 'ADDED' || type === 'MODIFIED') {
          if (parsed.success) take(parsed.data);
        } else if (type === 'ERROR') {
          throw new RondoError('aborted', 'the watch is too old');
        }
      },
    });
  };
  const reason = (thrown: unknown) => ({ kind, name, reason: RondoError.from(thrown).message });
  void (async () => {
    while (!end.signal.aborted) {
      try {
        await follow();
      } catch (thrown) {
        if (!end.signal.aborted) log('debug', 'workload not watched', reason(thrown));
      }
      await sleep(againMs, end.signal).catch(() => {});
      if (end.signal.aborted) return;
      await api.get(path, schema).then(take, (thrown) => log('warn', 'workload not read', reason(thrown)));
    }
  })();
  return {
    ...{ kind, name, apiVersion, uid: newest.uid },
    get wanted() {
      return newest.pods * workersPerPod;
    },
    onChange: (listener) => void listeners.add(listener),
    async scale(workers) {
      if (workers % workersPerPod !== 0) {
        throw new RondoError(
          'invalid-argument',
          `each pod has ${workersPerPod} workers, so ${workers} are no whole pods`,
          {
            remedy: `give a multiple of ${workersPerPod}`,
          },
        );
      }
      await api.patch(path + scaleAt, { spec: sizeOf(workers / workersPerPod) });
    },
    annotate: (annotations) => api.patch(path + annotateAt, { metadata: { annotations } }),
    close: () => end.abort(),
  };
}

/**
 * Has no pods started again whose workers ended with the run; a Job does that by itself. Tries until that is so, or
 * `signal` aborts. Never rejects.
 */
export async function dismissWorkers(
  api: KubernetesApi,
  { kind, name }: WorkloadName,
  signal: AbortSignal,
): Promise<void> {
  const { restartsEnded, scaleAt, sizeOf }: WorkloadKind = workloadKinds[kind];
  while (restartsEnded && !signal.aborted) {
    try {
      return await api.patch(`${collectionOf(api, kind)}/${name}${scaleAt}`, { spec: sizeOf(0) });
    } catch (thrown) {
      const error = RondoError.from(thrown);
      if (error.code === 'not-found') return;
      log('warn', 'workers not dismissed', { kind, name, reason: error.message });
    }
    await sleep(dismissAgainMs, signal).catch(() => {});
  }
}

function collectionOf({ namespace }: KubernetesApi, kind: WorkloadName['kind']): string {
  const { apiVersion, resource } = workloadKinds[kind];
  return `/apis/${apiVersion}/namespaces/${namespace}/${resource}`;
}
