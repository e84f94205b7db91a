import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PredictRequest, predictJob } from '../../proto/jobs.js';
import { RondoError } from '../../runtime/errors.js';
import { largest } from '../../runtime/extremes.js';
import { imageEndings } from '../../runtime/images.js';
import { listImageFiles } from '../dataset/image-files.js';
import { findPack, indexPack } from '../dataset/packed-images.js';
import { type DataRemark, remarkPassedOver } from '../dataset/remarks.js';
import type { JobRunner } from '../launch/run-job.js';

/** What the network says of one image. */
export interface Prediction {
  readonly kind: 'prediction';
  readonly image: string;
  /** The likeliest first. */
  readonly top: readonly { readonly class: string; readonly probability: number }[];
}

export interface UnreadableImage {
  readonly kind: 'unreadable';
  readonly image: string;
  readonly reason: string;
}

export interface PredictOptions extends PredictRequest {
  onResult(result: Prediction | UnreadableImage): void;
  onProgress(progress: { readonly done: number; readonly total: number }): void;
  readonly signal: AbortSignal;
  readonly runJob: JobRunner<typeof predictJob>;
}

/**
 * Classifies the files; `onResult` is called with each result, in their order. Resolves to the seconds that
 * the network took.
 */
export async function predictImages(o: PredictOptions): Promise<number> {
  const { config, state, files, packs, batch, tta } = o;
  const { classes } = config;
  const top = Math.min(o.top, classes.length);
  const { seconds } = await o.runJob(
    { config, state, files, packs, batch, top, tta },
    {
      signal: o.signal,
      onProgress: o.onProgress,
      onItem(told) {
        const image = nameOf(files[told.index]!, packs);
        if ('reason' in told) return o.onResult({ kind: 'unreadable', image, reason: told.reason });
        const named = told.top.map(({ label, probability }) => ({ class: classes[label]!, probability }));
        o.onResult({ kind: 'prediction', image, top: named });
      },
    },
  );
  return seconds;
}

/** An image as the person can find it: what was given, or a path below it. */
function nameOf(file: PredictRequest['files'][number], packs: PredictRequest['packs']): string {
  return typeof file === 'string' ? file : `${packs[file.pack]!.root}/${file.path}`;
}

export interface ImageList extends Pick<PredictRequest, 'files' | 'packs'> {
  /** What a folder holds that leads nowhere. */
  readonly broken: readonly { readonly image: string; readonly reason: string }[];
  /** What the folders hold beside them. */
  readonly remarks: readonly DataRemark[];
}

/**
 * Files as they are given, whatever they hold, and every image of the folders and packs among them, sorted by
 * path. Throws not-found when that is none.
 */
export async function listImages(inputs: readonly string[], signal: AbortSignal): Promise<ImageList> {
  const files: PredictRequest['files'][number][] = [];
  const packs: PredictRequest['packs'][number][] = [];
  const broken: { image: string; reason: string }[] = [];
  const remarks: DataRemark[] = [];
  for (const input of inputs) {
    const pack = await findPack(input);
    if (pack !== null) {
      const indexed = await indexPack(pack, { signal, skipBroken: true, onProgress() {} });
      const { root, shards, images, quarantined } = indexed;
      for (const { path, reason } of quarantined) broken.push({ image: `${root}/${path}`, reason });
      for (const { path, digest, range } of images) {
        files.push({ pack: packs.length, path, digest, range: range! });
      }
      packs.push({ root, shards });
      continue;
    }
    const found = await stat(input).catch(() => null);
    if (!found?.isDirectory()) {
      files.push(input);
      continue;
    }
    const listing = await listImageFiles(input, { signal, onFound: () => {} });
    for (const { path } of listing.files) files.push(join(input, path));
    for (const { path, reason } of [...listing.broken, ...listing.unlisted]) {
      broken.push({ image: join(input, path), reason });
    }
    // Sub-folders without images are not worth a remark: the folders given are only searched.
    for (const remark of remarkPassedOver({ ...listing, emptyFolders: [] }, false)) remarks.push(remark);
  }
  if (files.length + broken.length === 0) {
    throw new RondoError('not-found', `there are no images in ${inputs.join(', ')}`, {
      remedy: `a folder is searched for files that end in ${imageEndings}, its own folders included`,
    });
  }
  return { files, packs, broken, remarks };
}

/** One line for each image: its name, then the likeliest classes with their probabilities. */
export function renderPredictions(results: readonly (Prediction | UnreadableImage)[]): string[] {
  const names = largest(
    results.map(({ image }) => image.length),
    5,
  );
  const classes = largest(
    results.flatMap((result) => ('top' in result ? result.top.map((entry) => entry.class.length) : [])),
    5,
  );
  const cell = (name: string, figure: string) => `${name.padEnd(classes)} ${figure.padStart(6)}`;
  const ranks = largest(
    results.map((result) => ('top' in result ? result.top.length : 0)),
    0,
  );
  const head = Array.from({ length: ranks }, (_, rank) => cell(rank === 0 ? 'class' : 'or', 'prob.'));
  return [
    [`${'image'.padEnd(names)}`, ...head].join('  ').trimEnd(),
    ...results.map((result) => {
      const cells =
        'top' in result
          ? result.top.map((entry) => cell(entry.class, entry.probability.toFixed(4)))
          : [`unreadable: ${result.reason}`];
      return [result.image.padEnd(names), ...cells].join('  ').trimEnd();
    }),
  ];
}
