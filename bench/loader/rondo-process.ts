import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { epochPermutation } from '../../plan/sampler.js';
import type { Dataset } from '../../proto/gen/coordinator.js';
import { openLoader } from '../../worker/data/loader.js';

/** What the measuring process is told, as JSON in its first argument. */
export interface MeasureRequest {
  readonly files: readonly string[];
  readonly presize: number;
  readonly microBatch: number;
  readonly rounds: number;
}

/** Images per second, one figure per round. */
export interface LoaderFigures {
  /** Cold cache: every file is read, decoded, squeezed and put into memory and onto disk. */
  readonly firstEpoch: number[];
  /** Later epochs from shared memory. */
  readonly fromMemory: number[];
  /** Later epochs from the cache's file, which the system holds in memory. */
  readonly fromDisk: number[];
}

/** How far the loader reads ahead, in micro-batches. */
const depth = 8;

async function measure(request: MeasureRequest): Promise<LoaderFigures> {
  const figures: LoaderFigures = { firstEpoch: [], fromMemory: [], fromDisk: [] };
  for (let round = 0; round < request.rounds; round += 1) {
    const cacheDir = await mkdtemp(path.join(tmpdir(), 'rondo-bench-loader-'));
    try {
      const inMemory = openBenchLoader(request, cacheDir, request.files.length * request.presize ** 2 * 3);
      figures.firstEpoch.push(await timeEpoch(inMemory, request, 0));
      figures.fromMemory.push(await timeEpoch(inMemory, request, 1));
      await inMemory.close();
      const onDisk = openBenchLoader(request, cacheDir, 0);
      figures.fromDisk.push(await timeEpoch(onDisk, request, 2));
      await onDisk.close();
    } finally {
      await rm(cacheDir, { recursive: true, force: true });
    }
  }
  return figures;
}

function openBenchLoader(
  { files, presize, microBatch }: MeasureRequest,
  cacheDir: string,
  cacheBytes: number,
) {
  const root = path.dirname(files[0]!);
  const dataset: Dataset = {
    root,
    classes: ['a'],
    train: files.map((file) => ({ path: path.relative(root, file), label: 0 })),
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

async function timeEpoch(
  loader: ReturnType<typeof openLoader>,
  { files, microBatch }: MeasureRequest,
  epoch: number,
): Promise<number> {
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

const request: MeasureRequest = JSON.parse(process.argv[2]!);
process.stdout.write(JSON.stringify(await measure(request)));
