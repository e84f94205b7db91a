import { isAbsolute } from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { isUrl } from '../../runtime/storage/store.js';
import { findPack } from '../dataset/packed-images.js';
import type { TrainingOptions } from '../options/start-schema.js';
import { compareImages, describeChanges, digestsOf, readImageRecord } from '../run-store/image-record.js';
import type { RunDirectory, RunRecord } from '../run-store/run-directory.js';
import { type IndexContext, indexData } from './prepare-run.js';

/**
 * Options that say where something lies. A run may find it elsewhere later: its digest tells whether it is
 * the same.
 */
export type Places = Partial<Pick<TrainingOptions, 'data' | 'valid' | 'labels' | 'pretrained'>>;

/** Those of the places given that are others than a run has recorded. */
export function movedPlaces(given: Partial<TrainingOptions>, recorded: TrainingOptions): Places {
  const names = ['data', 'valid', 'labels', 'pretrained'] as const;
  const moved = names.filter((name) => given[name] !== undefined && given[name] !== recorded[name]);
  return Object.fromEntries(moved.map((name) => [name, given[name]]));
}

/**
 * The data set of a run that was started before, which may have moved since. Throws not-found when it is not
 * there, and failed-precondition, naming the files, when its images are not those of the run.
 */
export async function indexRecordedData(
  { training, config, datasetDigest, runId }: RunRecord,
  directory: RunDirectory,
  context: IndexContext,
  moved: Places = {},
): ReturnType<typeof indexData> {
  const asked = await withoutLabels({ ...training, ...moved });
  const indexed = await indexData(asked, context).catch((error: unknown) => {
    throw isAway(error) ? nameTheWay(error, moved) : error;
  });
  if (indexed.dataset.digest === datasetDigest) return indexed;
  const { root, train, valid } = indexed.dataset;
  // A run of an earlier version has no record; then the counts must do.
  const recorded = await readImageRecord(directory.images).catch(() => null);
  const differences =
    recorded === null
      ? `now ${train.length} + ${valid.length} of training and validation, then ${config.trainCount} + ${config.validCount}`
      : describeChanges(compareImages(recorded, digestsOf(indexed.dataset))) ||
        (training.shuffleWindow > 0
          ? 'their labels, classes or shards differ'
          : 'their labels or classes differ');
  throw new RondoError(
    'failed-precondition',
    `the images in ${root} are not those that run ${runId} began with: ${differences}`,
    {
      remedy:
        moved.data === undefined
          ? `restore the folder as it was, say where it is now (${training.valid === null ? '--data DIR' : '--data DIR, --valid DIR'}), or start a new run`
          : `give --data the folder that holds them now, at the same paths inside; ${training.data} was theirs`,
    },
  );
}

/** Packed images have their labels and sets with them; the run's digest tells whether they are the same. */
async function withoutLabels(training: TrainingOptions): Promise<TrainingOptions> {
  const { data } = training;
  const isPack = (isAbsolute(data) || isUrl(data)) && (await findPack(data)) !== null;
  return isPack ? { ...training, labelPattern: null, labels: null, valid: null } : training;
}

function isAway(error: unknown): error is RondoError {
  return error instanceof RondoError && error.code === 'not-found';
}

function nameTheWay({ code, message, cause }: RondoError, { data, valid, labels }: Places): RondoError {
  if (message.includes('--valid')) {
    return new RondoError(code, message, {
      remedy:
        valid === undefined
          ? 'if it has moved, say where it is now: --valid DIR'
          : 'give --valid the folder that holds the run\u2019s images to validate on',
      cause,
    });
  }
  const option = /\blabels\b|\.csv\b/i.test(message) && labels === undefined ? '--labels FILE' : '--data DIR';
  const remedy =
    data === undefined
      ? `if it has moved, say where it is now: ${option}`
      : 'give --data the folder that holds the run\u2019s images';
  return new RondoError(code, message, { remedy, cause });
}
