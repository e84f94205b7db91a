import { RondoError } from '../../runtime/errors.js';
import { compareImages, describeChanges, digestsOf, readImageRecord } from '../run-store/image-record.js';
import type { RunDirectory, RunRecord } from '../run-store/run-directory.js';
import { type IndexContext, indexData } from './prepare-run.js';

/**
 * The data set of a run that was started before. Throws failed-precondition, naming the files, when its images have
 * changed since.
 */
export async function indexRecordedData(
  { training, config, datasetDigest }: RunRecord,
  directory: RunDirectory,
  context: IndexContext,
): ReturnType<typeof indexData> {
  const indexed = await indexData(training, context);
  if (indexed.dataset.digest === datasetDigest) return indexed;
  const { root, train, valid } = indexed.dataset;
  // A run of an earlier version has no record; then the counts must do.
  const recorded = await readImageRecord(directory.images).catch(() => null);
  const differences =
    recorded === null
      ? `now ${train.length} + ${valid.length} of training and validation, then ${config.trainCount} + ${config.validCount}`
      : describeChanges(compareImages(recorded, digestsOf(indexed.dataset))) ||
        'their labels or classes are others';
  throw new RondoError(
    'failed-precondition',
    `the images in ${root} are not those that the run began with: ${differences}`,
    { remedy: 'restore the folder as it was, or start a new run' },
  );
}
