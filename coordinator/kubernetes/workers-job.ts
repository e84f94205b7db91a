import { z } from 'zod';
import { sleep } from '../../runtime/deadline.js';
import { RondoError } from '../../runtime/errors.js';
import { log } from '../../runtime/log.js';
import type { KubernetesApi } from './api.js';

const job = z.object({
  metadata: z.object({ uid: z.string(), resourceVersion: z.string() }),
  spec: z.object({
    parallelism: z.int().nonnegative().default(1),
    suspend: z.boolean().default(false),
  }),
});
const change = z.object({ type: z.string(), object: z.unknown() });
const againMs = 2_000;
/** Of a watch: the server ends it then. */
const watchSeconds = 300;

/** The elastic Indexed Job whose pods are a run's workers. */
export interface WorkersJob {
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
 * @throws RondoError what the API server says when the Job cannot be read.
 */
export async function openWorkersJob(
  api: KubernetesApi,
  name: string,
  workersPerPod: number,
): Promise<WorkersJob> {
  const collection = `/apis/batch/v1/namespaces/${api.namespace}/jobs`;
  const path = `${collection}/${name}`;
  const end = new AbortController();
  const listeners = new Set<(wanted: number) => void>();
  const wantedBy = ({ spec }: z.infer<typeof job>) => (spec.suspend ? 0 : spec.parallelism * workersPerPod);
  let newest = await api.get(path, job);
  const take = (next: z.infer<typeof job>) => {
    const before = wantedBy(newest);
    newest = next;
    const now = wantedBy(newest);
    if (now === before) return;
    for (const listener of listeners) listener(now);
  };
  const follow = async () => {
    const query = new URLSearchParams({
      ...{ watch: 'true', fieldSelector: `metadata.name=${name}`, timeoutSeconds: String(watchSeconds) },
      resourceVersion: newest.metadata.resourceVersion,
    });
    await api.watch(`${collection}?${query}`, {
      ...{ schema: change, signal: end.signal },
      take({ type, object }) {
        const parsed = job.safeParse(object);
        if (type === 'ADDED' || type === 'MODIFIED') {
          if (parsed.success) take(parsed.data);
        } else if (type === 'ERROR') {
          throw new RondoError('aborted', 'the watch is too old');
        }
      },
    });
  };
  void (async () => {
    while (!end.signal.aborted) {
      try {
        await follow();
      } catch (thrown) {
        if (!end.signal.aborted) log('debug', 'job not watched', { reason: RondoError.from(thrown).message });
      }
      await sleep(againMs, end.signal).catch(() => {});
      if (end.signal.aborted) return;
      await api
        .get(path, job)
        .then(take, (thrown) => log('warn', 'job not read', { reason: RondoError.from(thrown).message }));
    }
  })();
  return {
    uid: newest.metadata.uid,
    get wanted() {
      return wantedBy(newest);
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
      const pods = workers / workersPerPod;
      // An elastic Indexed Job takes both together, and no other way.
      await api.patch(path, { spec: { parallelism: pods, completions: pods } });
    },
    annotate: (annotations) => api.patch(path, { metadata: { annotations } }),
    close: () => end.abort(),
  };
}
