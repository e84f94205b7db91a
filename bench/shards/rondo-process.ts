// One pass over packed images as a worker's loader makes it, from the opened index on. Answers a Pass with a
// PassResult.
import path from 'node:path';
import { indexPack } from '../../coordinator/dataset/packed-images.js';
import { orderOf } from '../../coordinator/run/run-config.js';
import { openEpochOrder, openEpochWindows } from '../../plan/epoch-order.js';
import type { Dataset } from '../../proto/dataset.js';
import type { Sample } from '../../runtime/storage/sample-columns.js';
import { openLoader } from '../../worker/data/loader.js';
import { openSource } from '../../worker/data/source.js';
import { answerLines } from '../support/line-process.js';
import { type Pass, type PassResult, passSchema } from './task.js';

/** How far the loader reads ahead, in micro-batches. */
const depth = 8;
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
  const cache = { folder: path.join(o.cacheDir, 'objects'), maxBytes: 2 ** 40 };
  const loader = openLoader({
    dataset,
    config: {
      ...{ seed: 1, presize: o.presize, size: Math.round(o.presize / 1.15) },
      ...{ microBatch: o.batch, augment: 'none' as const },
    },
    // Every image is decoded, as the peers do.
    ...{ cacheBytes: 0, cacheDir: o.cacheDir, diskCacheBytes: 0 },
    source: openSource(dataset, { cache, wholeShards: windowed }),
  });
  const order = orderOf({ shuffleWindow: o.window }, dataset);
  const [trainCount, step] = [dataset.train.length, { batchSize: o.batch, microBatch: o.batch }];
  const config = { seed: 1, trainCount, ...step, order };
  const idAt = openEpochOrder(config, 0);
  const windows = openEpochWindows(config, 0)?.placesOf(0, 0, 1)[0]?.windows;
  const left = trainCount - o.consumed;
  let window = -1;
  const requests = Array.from({ length: Math.ceil(left / o.batch) }, (_, index) => {
    const from = o.consumed + index * o.batch;
    const count = Math.min(o.batch, trainCount - from);
    const ids = Uint32Array.from({ length: count }, (_, at) => idAt(from + at));
    const request = { split: 'train' as const, ids, epoch: 0 };
    const at = windows?.windowAt(from) ?? window;
    if (windows === undefined || at === window) return request;
    window = at;
    const current = index === 0 ? windows.shards[at]! : [];
    const [begun, now] = windows.starts[at] === from ? [[], current] : [current, []];
    return { ...request, shards: { begun, now, next: windows.shards[at + 1] ?? [] } };
  });
  let [images, firstBatchSeconds] = [0, 0];
  for await (const batch of loader.load(requests, { depth, signal })) {
    if (images === 0) firstBatchSeconds = (performance.now() - start) / 1_000;
    images += batch.ids.length;
    batch.release();
  }
  const seconds = (performance.now() - start) / 1_000;
  await loader.close();
  const { user, system } = process.cpuUsage(cpu);
  return { firstBatchSeconds, seconds, cpuSeconds: (user + system) / 1e6, images };
}

function comparePlaces({ range: a }: Sample, { range: b }: Sample): number {
  return a!.shard - b!.shard || a!.block - b!.block;
}
