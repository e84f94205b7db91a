import { checkWeightsJob, exportJob, predictJob, showBatchJob } from '../../proto/jobs.js';
import { RondoError } from '../../runtime/errors.js';
import { nearestName } from '../../runtime/nearest-name.js';
import { readingJob, type UnreadJob } from './serve-job.js';

/** Jobs by name. Each is imported when it is asked for: `worker join` needs none of them. */
const jobs: ReadonlyMap<string, UnreadJob> = new Map([
  [
    checkWeightsJob.name,
    readingJob(checkWeightsJob, async () => (await import('./check-weights.js')).checkWeights),
  ],
  [exportJob.name, readingJob(exportJob, async () => (await import('./export.js')).exportNetwork)],
  [predictJob.name, readingJob(predictJob, async () => (await import('./predict.js')).predict)],
  [showBatchJob.name, readingJob(showBatchJob, async () => (await import('./show-batch.js')).showBatch)],
]);

/** Throws not-found, with the nearest name, for a job that there is not. */
export function findJob(name: string): UnreadJob {
  const job = jobs.get(name);
  if (job !== undefined) return job;
  const names = [...jobs.keys()];
  const nearest = nearestName(name, names);
  throw new RondoError('not-found', `there is no job "${name}"`, {
    remedy: nearest === null ? `the jobs are ${names.join(', ')}` : `did you mean "${nearest}"?`,
  });
}
