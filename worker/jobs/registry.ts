import { RondoError } from '../../runtime/errors.js';
import { nearestName } from '../../runtime/nearest-name.js';
import type { Job } from './job.js';

export type JobRegistry = Readonly<Record<string, () => Promise<Job>>>;

/** Jobs by name. Each is imported when it is asked for: `worker join` needs none of them. */
export const jobs: JobRegistry = {
  'check-weights': async () => (await import('./check-weights.js')).checkWeights,
  export: async () => (await import('./export.js')).exportNetwork,
  predict: async () => (await import('./predict.js')).predict,
  'show-batch': async () => (await import('./show-batch.js')).showBatch,
};

/** Throws not-found, with the nearest name, for a job that there is not. */
export function findJob(name: string, registry: JobRegistry = jobs): Promise<Job> {
  const load = Object.hasOwn(registry, name) ? registry[name] : undefined;
  if (load !== undefined) return load();
  const nearest = nearestName(name, Object.keys(registry));
  throw new RondoError('not-found', `there is no job "${name}"`, {
    remedy:
      nearest === null ? `the jobs are ${Object.keys(registry).join(', ')}` : `did you mean "${nearest}"?`,
  });
}
