// A worker's loader in a process of its own, with both of its caches. Answers each part of an epoch with a Share.
import { indexPack } from '../../coordinator/dataset/packed-images.js';
import { openEpochOrder } from '../../plan/epoch-order.js';
import type { Dataset } from '../../proto/dataset.js';
import { openLoader } from '../../worker/data/loader.js';
import { answerLines, readPlace } from '../support/line-process.js';
import { type Pass, passSchema, placeSchema, type Share } from './task.js';

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

async function load(pass: Pass): Promise<Share> {
  const [started, cpu] = [Date.now() / 1_000, process.cpuUsage()];
  let images = 0;
  for await (const loaded of loader.load(requests(pass), { depth, signal })) {
    images += loaded.ids.length;
    loaded.release();
  }
  const { user, system } = process.cpuUsage(cpu);
  return { started, ended: Date.now() / 1_000, images, cpuSeconds: (user + system) / 1e6 };
}

function* requests({ epoch, piece, pieces }: Pass) {
  const count = dataset.train.length;
  const order = openEpochOrder({ ...config, trainCount: count, batchSize: workers * batch }, epoch);
  const steps = Math.ceil(count / (workers * batch));
  const [first, end] = [piece, piece + 1].map((at) => Math.floor((steps * at) / pieces)) as [number, number];
  for (let step = first; step < end; step += 1) {
    const from = (step * workers + rank) * batch;
    if (from >= count) return;
    const ids = Uint32Array.from({ length: Math.min(batch, count - from) }, (_, at) => order(from + at));
    yield { split: 'train' as const, ids, epoch };
  }
}
