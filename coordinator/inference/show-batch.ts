import { readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { AugmentKind } from '../../plan/run-config.js';
import { epochPermutation } from '../../plan/sampler.js';
import type { Dataset } from '../../proto/gen/coordinator.js';
import type { showBatchJob } from '../../proto/jobs.js';
import { RondoError } from '../../runtime/errors.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { makeTemporaryFolder } from '../../runtime/temporary-folder.js';
import type { JobRunner } from '../launch/run-job.js';
import { presizeFor } from '../run/run-config.js';
import { drawImageGrid } from './image-grid.js';

export interface ShowBatchOptions {
  readonly dataset: Dataset;
  readonly seed: number;
  readonly size: number;
  readonly augment: AugmentKind;
  /** Of training, counted from 0: decides the order and the augmentation. */
  readonly epoch: number;
  readonly count: number;
  /** The PNG to write; its folder is made. */
  readonly out: string;
  readonly signal: AbortSignal;
  readonly runJob: JobRunner<typeof showBatchJob>;
}

export interface ShownImage {
  /** Relative to the data's folder. */
  readonly path: string;
  readonly label: string;
}

/** Draws the first images that a run of this seed trains on in an epoch, as its network sees them. */
export async function showBatch(o: ShowBatchOptions): Promise<readonly ShownImage[]> {
  const { dataset, seed, size, augment, epoch, out, signal } = o;
  const ids = [...epochPermutation(seed, epoch, dataset.train.length).slice(0, o.count)];
  const shown = ids.map((id) => {
    const { path, label } = dataset.train[id]!;
    return { path, label: dataset.classes[label]! };
  });
  const folder = makeTemporaryFolder('rondo-batch-');
  try {
    const output = join(folder, 'pixels');
    const config = { seed, size, augment, presize: presizeFor(size), microBatch: ids.length };
    await o.runJob({ config, dataset, ids, epoch, output }, { signal });
    const title = `${ids.length} training images of epoch ${epoch} · ${size} px · augmentation ${augment} · seed ${seed}`;
    const labels = shown.map(({ label }) => label);
    await save(out, await drawImageGrid({ title, size, labels, pixels: await readFile(output) }));
    return shown;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function save(out: string, bytes: Uint8Array): Promise<void> {
  try {
    makeFolder(dirname(out));
    await writeFile(out, bytes);
  } catch (error) {
    const { code, message } = RondoError.from(error);
    throw new RondoError(code, `cannot write ${out}: ${message}`, {
      remedy: 'give --out a file that can be written',
      cause: error,
    });
  }
}
