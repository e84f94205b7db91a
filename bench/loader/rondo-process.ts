// A worker's loader in a process of its own. Answers a line of JSON to each on standard input: to a Pass, its
// Span.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { epochPermutation } from '../../plan/sampler.js';
import type { Dataset } from '../../proto/dataset.js';
import { type Loader, openLoader } from '../../worker/data/loader.js';
import { answerLines, readPlace } from '../support/line-process.js';
import { pictureSize } from '../support/pictures.js';
import { type Pass, passSchema, placeSchema, type Span } from './task.js';

/** How far the loader reads ahead, in micro-batches. */
const depth = 8;

const { files, presize, microBatch, workers, rank } = readPlace(placeSchema);

/** Taken before anything is timed, as the coordinator's index brings them. */
const digests = files.map((file) => createHash('sha256').update(readFileSync(file)).digest('hex'));

/** Opened by the pass over the files, for that over the memory. */
let loader: Loader | null = null;
await answerLines(passSchema, load);

async function load({ from, cacheDir }: Pass): Promise<Span> {
  switch (from) {
    case 'files':
      loader = openBenchLoader(cacheDir, files.length * presize ** 2 * 3);
      return timeEpoch(loader, 0);
    case 'memory': {
      // The order of the first epoch: every worker has what it decoded.
      const span = await timeEpoch(loader!, 0);
      await loader!.close();
      return span;
    }
    case 'disk': {
      const onDisk = openBenchLoader(cacheDir, 0);
      const span = await timeEpoch(onDisk, 1);
      await onDisk.close();
      return span;
    }
  }
}

function openBenchLoader(cacheDir: string, cacheBytes: number): Loader {
  const root = path.dirname(files[0]!);
  const dataset: Dataset = {
    root,
    classes: ['a'],
    train: files.map((file, index) => ({
      path: path.relative(root, file),
      label: 0,
      ...pictureSize,
      digest: digests[index]!,
    })),
    valid: [],
    digest: 'bench',
  };
  const size = Math.round(presize / 1.15);
  return openLoader({
    dataset,
    config: { seed: 1, size, presize, microBatch, augment: 'fastai' },
    cacheBytes,
    cacheDir,
    diskCacheBytes: 2 ** 40,
  });
}

/** This worker's share of an epoch. */
async function timeEpoch(opened: Loader, epoch: number): Promise<Span> {
  const order = epochPermutation(1, epoch, files.length);
  const requests = Array.from({ length: Math.ceil(files.length / microBatch) }, (_, i) => ({
    split: 'train' as const,
    ids: order.slice(i * microBatch, (i + 1) * microBatch),
    epoch,
  })).filter((_, i) => i % workers.processes === rank);
  const start = now();
  for await (const batch of opened.load(requests, { depth, signal: new AbortController().signal })) {
    batch.release();
  }
  return [start, now()];
}

function now(): number {
  return (performance.timeOrigin + performance.now()) / 1000;
}
