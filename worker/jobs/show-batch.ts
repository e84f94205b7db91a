import { writeFile } from 'node:fs/promises';
import type { Dataset } from '../../proto/dataset.js';
import type { ShowBatchRequest, ShowBatchResult } from '../../proto/jobs.js';
import { installation } from '../../runtime/installation.js';
import { cannotUseTemporary } from '../../runtime/make-folder.js';
import type { Samples } from '../../runtime/storage/sample-columns.js';
import { openLoader } from '../data/loader.js';
import { openSource } from '../data/source.js';
import { denormalize, openInputProgram } from '../model/input-program.js';
import type { JobContext } from './serve-job.js';

/** Writes training images as the network is given them, by the loader and the graph that training uses. */
export async function showBatch(
  { config, root, shards, samples, epoch, output }: ShowBatchRequest,
  { signal }: JobContext,
): Promise<ShowBatchResult> {
  const { cacheDir } = installation();
  const byId = new Map(samples.map(({ id, sample }) => [id, sample]));
  // Ids are those of the whole list, of which these samples are all that is known here.
  const train: Samples = {
    length: byId.size,
    at: (id) => byId.get(id),
    [Symbol.iterator]: () => byId.values(),
  };
  const dataset: Dataset = {
    ...{ root, train, valid: [], shards: { shards: [...shards] }, classes: [], digest: '' },
  };
  // The pixels are not worth keeping; what is fetched from a URL is.
  const source = openSource(dataset);
  const loader = openLoader({ dataset, config, cacheBytes: 0, cacheDir, diskCacheBytes: 0, source });
  const program = openInputProgram(config);
  try {
    const request = { split: 'train' as const, ids: Uint32Array.from(byId.keys()), epoch };
    for await (const batch of loader.load([request], { depth: 1, signal })) {
      await writeFile(output, denormalize(program.images(batch))).catch((error: unknown) => {
        throw cannotUseTemporary(error);
      });
      batch.release();
    }
    return {};
  } finally {
    program.close();
    await loader.close();
  }
}
