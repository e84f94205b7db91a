import { RondoError } from '../../runtime/errors.js';
import type { RunRecord } from '../run-store/run-directory.js';
import { type IndexContext, indexData } from './prepare-run.js';

/** The data set of a run that was started before. Throws failed-precondition when its images have changed since. */
export async function indexRecordedData(
  { training, config, datasetDigest }: RunRecord,
  context: IndexContext,
): ReturnType<typeof indexData> {
  const indexed = await indexData(training, context);
  if (indexed.dataset.digest === datasetDigest) return indexed;
  const { train, valid } = indexed.dataset;
  throw new RondoError(
    'failed-precondition',
    `the images in ${indexed.dataset.root} are not those that the run began with: ` +
      `now ${train.length} + ${valid.length} of training and validation, then ${config.trainCount} + ${config.validCount}`,
    { remedy: 'restore the folder as it was, or start a new run' },
  );
}
