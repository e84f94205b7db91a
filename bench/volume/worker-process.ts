// A worker's loader in a process of its own, with both of its caches. Answers each epoch with a Share.
import { indexPack } from '../../coordinator/dataset/packed-images.js';
import { openEpochOrder } from '../../plan/epoch-order.js';
import type { Dataset } from '../../proto/dataset.js';
import { openLoader } from '../../worker/data/loader.js';
import { answerLines, readPlace } from '../support/line-process.js';
import { passSchema, placeSchema, type Share } from './task.js';

/** How far the loader reads ahead, in micro-batches. */
const depth = 8;
/** Of decoded images in memory: too little for most, so that they come from disk. */
const cacheBytes = 64 << 20;
const diskCacheBytes = 2 ** 40;
const signal = new AbortController().signal;

const { packed, cacheDir, presize, size, batch, rank, workers } = readPlace(placeSchema);
const indexed = await indexPack({ place: packed, foreign: null }, { signal, onProgress() {} });
const dataset: Dataset = {
  ...{ root: indexed.root, classes: [...indexed.classes], valid: [], digest: 'bench' },
  ...{ train: indexed.images, shards: { shards: [...indexed.shards] } },
};
const config = { seed: 1, presize, size, microBatch: batch, augment: 'fastai' as const };
const loader = openLoader({ dataset, config, cacheBytes, cacheDir, diskCacheBytes });
await answerLines(passSchema, load);
await loader.close();

async function load({ epoch }: { readonly epoch: number }): Promise<Share> {
  const [started, cpu] = [Date.now() / 1_000, process.cpuUsage()];
  let images = 0;
  for await (const loaded of loader.load(requests(epoch), { depth, signal })) {
    images += loaded.ids.length;
    loaded.release();
  }
  const { user, system } = process.cpuUsage(cpu);
  return { started, ended: Date.now() / 1_000, images, cpuSeconds: (user + system) / 1e6 };
}

function* requests(epoch: number) {
  const count = dataset.train.length;
  const order = openEpochOrder({ seed: config.seed, trainCount: count }, epoch);
  for (let from = rank * batch; from < count; from += workers * batch) {
    const ids = Uint32Array.from({ length: Math.min(batch, count - from) }, (_, at) => order(from + at));
    yield { split: 'train' as const, ids, epoch };
  }
}
