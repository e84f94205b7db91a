import path from 'node:path';
import type { Dataset } from '../../proto/dataset.js';
import { RondoError } from '../../runtime/errors.js';
import { SampleColumns } from '../../runtime/storage/sample-columns.js';
import { openVerifiers, type Verifiers } from '../../runtime/verification/verifiers.js';
import type { Finding } from '../../runtime/verification/verify-image.js';
import {
  requireClasses,
  requireImages,
  requireListed,
  requireMostUsable,
  resolveFolder,
} from './check-dataset.js';
import { chooseLabels } from './choose-labels.js';
import { digestSamples, digestWithShards } from './digest.js';
import type { ImageFile, Quarantined } from './image-files.js';
import type { DatasetProgress, IndexedImages, IndexOptions } from './indexed-images.js';
import { labelPaths } from './labels.js';
import { compareText, sortByPlace } from './order.js';
import { findPack, indexPack } from './packed-images.js';
import {
  type DataRemark,
  remarkClasses,
  remarkCoverage,
  remarkGivenSplit,
  remarkOverlap,
} from './remarks.js';
import { drawSample } from './sample.js';
import { type ListedImage, listSets } from './sets.js';
import { splitAsGiven, splitByClass, splitSamples } from './split.js';
import { openVerificationRecord } from './verification-record.js';
import { isMuch, verifyImages } from './verify.js';

export interface DatasetOptions extends IndexOptions {
  /** Share of the images to validate on where they are drawn, between 0 and 1. */
  readonly validPct: number;
  readonly seed: number;
}

export interface OpenedDataset {
  readonly dataset: Dataset;
  readonly quarantined: readonly Quarantined[];
  /** Where the validation set comes from, for people: "20 % drawn at random", "the folder valid". */
  readonly validation: string;
  readonly remarks: readonly DataRemark[];
}

/**
 * Indexes a folder of images and divides them: some to train on, some to validate on. A split that is drawn
 * is seeded, and the same on every machine. Throws what `indexImages` throws, and RondoError where either set
 * would be too small.
 */
export async function openDataset(o: DatasetOptions): Promise<OpenedDataset> {
  const indexed = await indexImages(o);
  const { root, validRoot, shards, classes, images, sets, validation, quarantined, remarks } = indexed;
  const labels = Uint32Array.from(images, ({ label }) => label);
  const split = validation
    ? splitAsGiven(images.length, (id) => sets[id] === 'valid', validation)
    : o.split === 'stratified'
      ? splitByClass(labels, o.validPct, o.seed)
      : splitSamples(images.length, o.validPct, o.seed);
  const digest = digestSamples(classes, images, validation ? split.valid : undefined);
  const trainIds = o.shuffleWindow ? sortByPlace(split.train, images) : split.train;
  const dataset: Dataset = {
    root,
    classes: [...classes],
    train: SampleColumns.pick(images, trainIds),
    valid: SampleColumns.pick(images, split.valid),
    digest: o.shuffleWindow ? digestWithShards(digest, shards) : digest,
    ...(validRoot === root ? {} : { validRoot }),
    ...(shards.length === 0 ? {} : { shards: { shards: [...shards] } }),
  };
  return {
    dataset,
    quarantined,
    validation: validation?.source ?? describeDrawn(o),
    remarks: [
      ...remarks,
      ...(validation ? [remarkGivenSplit(validation, dataset.train, dataset.valid)] : []),
      ...remarkSamples(dataset, validation === null && o.split !== 'stratified'),
    ],
  };
}

/**
 * Indexes images: of a pack what its index says; of a folder labels, sets, and a pass that decodes every file, so that a broken one is found
 * before training. Throws RondoError, with a remedy, for whatever makes the folder unfit.
 */
export async function indexImages(o: IndexOptions): Promise<IndexedImages> {
  try {
    const pack = o.data === 'sample' ? null : await findPack(o.data);
    if (pack === null && o.shuffleWindow) throw noShards(o.data);
    return await (pack === null ? indexFolder(o) : indexPack(pack, o));
  } catch (error) {
    if (!o.signal.aborted) throw error;
    throw new RondoError('cancelled', 'indexing the data set was cancelled', { cause: error });
  }
}

async function indexFolder(o: IndexOptions): Promise<IndexedImages> {
  const verifiers = openVerifiers();
  return indexFiles({ ...o, verifiers }).finally(verifiers.close);
}

async function indexFiles(o: IndexOptions & { readonly verifiers: Verifiers }): Promise<IndexedImages> {
  const report = (phase: DatasetProgress['phase']) => (done: number, total: number) =>
    o.onProgress({ phase, done, total });
  const folder =
    o.data === 'sample'
      ? await drawSample({ cacheDir: o.cacheDir, signal: o.signal, onProgress: report('drawing') })
      : path.resolve(o.data);
  const root = await resolveFolder(folder, 'data');
  const validDir = o.validDir === undefined ? null : await resolveFolder(o.validDir, 'valid');
  const isNew = !openVerificationRecord(root, o.cacheDir).exists();
  const listed = await listSets(root, validDir, o.split ?? 'auto', {
    signal: o.signal,
    onFound(count) {
      report('listing')(count, 0);
      if (isNew && isMuch(count, 0)) o.verifiers.begin();
    },
  });
  const { broken, unlisted, validRoot } = listed;
  const onTableRead = (done: number, total: number) =>
    o.onProgress({ phase: 'reading', subject: 'the labels', unit: 'bytes', done, total });
  if (!o.skipBroken) requireListed(unlisted, root);
  requireImages(listed.files, root);
  const { labeller, files, validation, remarks } = await chooseLabels({ ...o, onTableRead }, listed);
  requireClasses(labelPaths(files, labeller).classes, files, root, o.labelPattern);
  const findings = await verifySets(files, o, report('verifying'));
  const unusable: Quarantined[] = [];
  const usable = files.filter((file) => {
    const finding = findings.get(file)!;
    const isLabelled = labeller(file.path) !== undefined;
    if (isLabelled && finding.usable) return true;
    const reason = isLabelled && !finding.usable ? finding.reason : labeller.reason;
    unusable.push({ path: file.path, reason });
    return false;
  });
  const quarantined = [...unusable, ...broken, ...unlisted].sort((a, b) => compareText(a.path, b.path));
  o.onQuarantined?.(quarantined);
  if (!o.skipBroken) requireMostUsable(quarantined, files.length + broken.length, root);
  // Again, of the usable ones: a class may have had nothing but a broken file.
  const { classes, labels } = labelPaths(usable, labeller);
  requireClasses(classes, files, root, o.labelPattern);
  const images = new SampleColumns(usable.length);
  for (const [id, file] of usable.entries()) {
    const { width, height, digest } = findings.get(file) as Usable;
    images.append({ path: file.path, width, height, digest, label: labels[id]! });
  }
  return {
    ...{ root, validRoot, shards: [], classes, images: images.finish(), sets: usable.map(({ set }) => set) },
    ...{ validation, quarantined, remarks },
  };
}

function noShards(data: string): RondoError {
  return new RondoError('invalid-argument', `--shuffle-window is given, but ${data} has no shards`, {
    remedy: 'leave it out, or pack the images with `coordinator pack`',
  });
}

type Usable = Extract<Finding, { readonly usable: true }>;

function remarkSamples({ classes, train, valid }: Dataset, drawnAtRandom: boolean): DataRemark[] {
  const counts = new Map(classes.map((name) => [name, 0]));
  for (const samples of [train, valid]) {
    for (const { label } of samples) counts.set(classes[label]!, counts.get(classes[label]!)! + 1);
  }
  return [
    ...remarkClasses(counts),
    ...remarkCoverage(classes, train, valid, drawnAtRandom),
    ...remarkOverlap(train, valid),
  ];
}

/** The pass over all files, root by root: what was found before is kept for each. */
async function verifySets(
  files: readonly ListedImage[],
  o: IndexOptions & { readonly verifiers: Verifiers },
  onProgress: (done: number, total: number) => void,
): Promise<ReadonlyMap<ImageFile, Finding>> {
  let findings: ReadonlyMap<ImageFile, Finding> = new Map();
  for (const root of new Set(files.map((file) => file.root))) {
    const before = findings.size;
    const found = await verifyImages(
      root,
      files.filter((file) => file.root === root),
      {
        cacheDir: o.cacheDir,
        signal: o.signal,
        helpers: o.helpers,
        verifiers: o.verifiers,
        onProgress: (done) => onProgress(before + done, files.length),
      },
    );
    // Most data sets have one root, whose findings need no copy.
    findings = before === 0 ? found : new Map([...findings, ...found]);
  }
  return findings;
}

function describeDrawn({ validPct, split, seed }: DatasetOptions): string {
  const how = split === 'stratified' ? 'drawn at random within each class' : 'drawn at random';
  return `${+(validPct * 100).toFixed(2)} % ${how} (seed ${seed})`;
}
