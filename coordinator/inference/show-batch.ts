import { readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { openEpochOrder } from '../../plan/epoch-order.js';
import type { AugmentKind } from '../../plan/run-config.js';
import type { Dataset } from '../../proto/dataset.js';
import type { showBatchJob } from '../../proto/jobs.js';
import { RondoError } from '../../runtime/errors.js';
import { makeFolder, makeTemporaryFolder } from '../../runtime/make-folder.js';
import type { JobRunner } from '../launch/run-job.js';
import { drawText, renderPng, style, svgDocument } from '../report/charts/svg.js';
import { orderOf, presizeFor } from '../run/run-config.js';

export interface ShowBatchOptions {
  readonly dataset: Dataset;
  readonly seed: number;
  /** With the batches, what decides the order of packed images in windows of shards. */
  readonly shuffleWindow: number;
  readonly batchSize: number;
  readonly microBatch: number;
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
  const { batchSize, microBatch } = o;
  const run = { seed, trainCount: dataset.train.length, batchSize, microBatch, order: orderOf(o, dataset) };
  const order = openEpochOrder(run, epoch);
  const ids = Array.from({ length: Math.min(o.count, dataset.train.length) }, (_, position) =>
    order(position),
  );
  const samples = ids.map((id) => ({ id, sample: dataset.train.at(id)! }));
  const shown = samples.map(({ sample: { path, label } }) => ({ path, label: dataset.classes[label]! }));
  const folder = makeTemporaryFolder('rondo-batch-');
  try {
    const output = join(folder, 'pixels');
    const config = { seed, size, augment, presize: presizeFor(size), microBatch: ids.length };
    const { root } = dataset;
    const shards = dataset.shards?.shards ?? [];
    await o.runJob({ config, root, shards, samples, epoch, output }, { signal });
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

export interface ImageGrid {
  readonly title: string;
  /** Bytes [n, size, size, 3]. */
  readonly pixels: Uint8Array;
  readonly size: number;
  /** One for each image. */
  readonly labels: readonly string[];
}

/** Small images are enlarged, each pixel to a square, until they are at least this wide. */
const minSide = 150;
const gap = 12;
const captionHeight = 26;
const titleHeight = 48;
/** Pixels per letter, about. */
const letterWidth = 7.2;

/** The images in rows, as square as can be, each with its label below it, as PNG. */
export async function drawImageGrid({ title, pixels, size, labels }: ImageGrid): Promise<Buffer> {
  const columns = Math.ceil(Math.sqrt(labels.length));
  const rows = Math.ceil(labels.length / columns);
  const side = size * Math.max(1, Math.ceil(minSide / size));
  const place = (index: number) => ({
    left: gap + (index % columns) * (side + gap),
    top: titleHeight + Math.floor(index / columns) * (side + captionHeight),
  });
  const width = gap + columns * (side + gap);
  const height = titleHeight + rows * (side + captionHeight) + gap;
  const captions = labels.map((label, index) => {
    const { left, top } = place(index);
    return drawText(left + side / 2, top + side + 17, shorten(label, side), { anchor: 'middle' });
  });
  const paper = svgDocument(
    { width, height, title },
    drawText(gap, 30, shorten(title, width - 2 * gap), { size: style.titleSize, weight: 600 }),
    captions,
  );
  const bytes = size * size * 3;
  const tiles = await Promise.all(
    labels.map(async (_, index) => {
      const tile = pixels.subarray(index * bytes, (index + 1) * bytes);
      const image = sharp(tile, { raw: { width: size, height: size, channels: 3 } });
      return {
        input: await image.resize(side, side, { kernel: 'nearest' }).png().toBuffer(),
        ...place(index),
      };
    }),
  );
  return sharp(await renderPng(paper, 1))
    .composite(tiles)
    .png()
    .toBuffer();
}

function shorten(text: string, width: number): string {
  const letters = Math.max(3, Math.floor(width / letterWidth));
  return text.length > letters ? `${text.slice(0, letters - 1)}…` : text;
}
