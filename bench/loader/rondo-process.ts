// A worker's loader in a process of its own. Answers a line of JSON to each on standard input: a round's speeds.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { epochPermutation } from '../../plan/sampler.js';
import type { Dataset } from '../../proto/gen/coordinator.js';
import { type Loader, openLoader } from '../../worker/data/loader.js';
import { pictureAspect } from '../support/pictures.js';
import type { Pictures, Speeds } from './task.js';

/** How far the loader reads ahead, in micro-batches. */
const depth = 8;

const { files, presize, microBatch } = JSON.parse(process.argv[2]!) as Pictures;

for await (const _ of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await measureRound())}\n`);
}

/** Cold cache first: every file is read, decoded, squeezed and put into memory and onto disk. */
async function measureRound(): Promise<Speeds> {
  const cacheDir = await mkdtemp(path.join(tmpdir(), 'rondo-bench-loader-'));
  try {
    const inMemory = openBenchLoader(cacheDir, files.length * presize ** 2 * 3);
    const first = await timeEpoch(inMemory, 0);
    const fromMemory = await timeEpoch(inMemory, 1);
    await inMemory.close();
    const onDisk = openBenchLoader(cacheDir, 0);
    const fromDisk = await timeEpoch(onDisk, 2);
    await onDisk.close();
    return {
      'first epoch (decode, cache)': first,
      'later epochs, from memory': fromMemory,
      // The system holds the cache's file in memory.
      'later epochs, from disk': fromDisk,
    };
  } finally {
    await rm(cacheDir, { recursive: true, force: true });
  }
}

function openBenchLoader(cacheDir: string, cacheBytes: number): Loader {
  const root = path.dirname(files[0]!);
  const dataset: Dataset = {
    root,
    classes: ['a'],
    train: files.map((file) => ({ path: path.relative(root, file), label: 0, aspect: pictureAspect })),
    valid: [],
    digest: 'bench',
  };
  const size = Math.round(presize / 1.15);
  return openLoader({
    dataset,
    config: { seed: 1, size, presize, microBatch, augment: 'fastai' },
    cacheBytes,
    cacheDir,
  });
}

/** Images per second. */
async function timeEpoch(loader: Loader, epoch: number): Promise<number> {
  const order = epochPermutation(1, epoch, files.length);
  const requests = Array.from({ length: Math.ceil(files.length / microBatch) }, (_, i) => ({
    split: 'train' as const,
    ids: order.slice(i * microBatch, (i + 1) * microBatch),
    epoch,
  }));
  const started = performance.now();
  for await (const batch of loader.load(requests, { depth, signal: new AbortController().signal })) {
    batch.release();
  }
  return files.length / ((performance.now() - started) / 1000);
}
