// One pass over packed images as a worker alone reads an epoch, from the opened index on. Answers a Pass with a
// PassResult.
import path from 'node:path';
import { indexPack } from '../../coordinator/dataset/packed-images.js';
import { resolveTraining } from '../../coordinator/options/training-options.js';
import { buildRunConfig } from '../../coordinator/run/run-config.js';
import type { Dataset } from '../../proto/dataset.js';
import type { Sample } from '../../runtime/storage/sample-columns.js';
import { openLoader } from '../../worker/data/loader.js';
import { openSource } from '../../worker/data/source.js';
import { nothingEvaluated } from '../../worker/training/evaluate.js';
import { openTaskBatches } from '../../worker/training/step-sequence.js';
import { answerLines } from '../support/line-process.js';
import { type Pass, type PassResult, passSchema } from './task.js';

const signal = new AbortController().signal;

await answerLines(passSchema, load);

async function load(o: Pass): Promise<PassResult> {
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  const indexed = await indexPack({ place: o.packed, foreign: null }, { signal, onProgress() {} });
  const windowed = o.window > 0;
  const dataset: Dataset = {
    ...{ root: indexed.root, classes: [...indexed.classes], valid: [], digest: 'bench' },
    train: windowed ? Array.from(indexed.images).sort(comparePlaces) : indexed.images,
    shards: { shards: [...indexed.shards] },
  };
  const training = {
    ...{ ...resolveTraining({}), size: o.size, batchSize: o.step, microBatch: o.batch },
    ...{ shuffleWindow: o.window, epochs: 1, augment: 'none' as const },
  };
  const config = buildRunConfig('bench', training, dataset, null);
  const cache = { folder: path.join(o.cacheDir, 'objects'), maxBytes: 2 ** 40 };
  const loader = openLoader({
    // Every image is decoded, as the peers do.
    ...{ dataset, config, cacheBytes: 0, cacheDir: o.cacheDir, diskCacheBytes: 0 },
    source: openSource(dataset, { cache, wholeShards: windowed }),
  });
  const batches = openTaskBatches({
    ...{ config, rank: 0, worldSize: 1, startStep: o.consumed / o.step, startShare: null },
    ...{ partitions: null, epochEndDue: false, evaluated: nothingEvaluated(), startEvaluation: null },
    ...{ loader, signal },
  });
  const left = config.trainCount - o.consumed;
  let [images, imageBytes, firstBatchSeconds] = [0, 0, 0];
  while (images < left) {
    const batch = await batches.take();
    if (images === 0) firstBatchSeconds = (performance.now() - start) / 1_000;
    images += batch.ids.length;
    for (const id of batch.ids) imageBytes += dataset.train.at(id)!.range!.bytes;
    batch.release();
  }
  const seconds = (performance.now() - start) / 1_000;
  await batches.close();
  await loader.close();
  const { user, system } = process.cpuUsage(cpu);
  return { firstBatchSeconds, seconds, cpuSeconds: (user + system) / 1e6, images, imageBytes };
}

function comparePlaces({ range: a }: Sample, { range: b }: Sample): number {
  return a!.shard - b!.shard || a!.block - b!.block;
}
