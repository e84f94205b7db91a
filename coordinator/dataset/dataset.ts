import path from 'node:path';
import type { Dataset } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { digestSamples } from './digest.js';
import { type ImageFile, listImageFiles, type Quarantined } from './image-files.js';
import { type Labeller, labelByFolder, labelByPattern, labelPaths } from './labels.js';
import { readLabelsFile } from './labels-file.js';
import { compareText } from './order.js';
import { requireClasses, requireImages, requireMostUsable, resolveFolder } from './requirements.js';
import { drawSample } from './sample.js';
import { splitSamples } from './split.js';
import type { Finding } from './verification-record.js';
import { verifyImages } from './verify.js';

export interface DatasetOptions {
  /** A folder, or 'sample' for the data set that Rondo draws itself. */
  readonly data: string;
  /** Regular expression with one capture group, matched against '/' + relative path; the parent folder's name by default. */
  readonly labelPattern?: string;
  /** CSV file with paths and labels, in place of both; images that it does not name are left out. */
  readonly labelsFile?: string;
  /** Share of the images to validate on, between 0 and 1. */
  readonly validPct: number;
  readonly seed: number;
  readonly cacheDir: string;
  /** Phases: 'drawing' (sample only), 'listing' (total 0: not known), 'verifying'. */
  onProgress(progress: DatasetProgress): void;
  readonly signal: AbortSignal;
}

export interface DatasetProgress {
  readonly phase: 'drawing' | 'listing' | 'verifying';
  readonly done: number;
  readonly total: number;
}

/**
 * Indexes a folder of images: labels, a seeded split that is the same on every machine, and a pass that decodes every file, so
 * that a broken one is found before training. Throws RondoError, with a remedy, for whatever makes the folder unfit.
 */
export async function openDataset(
  o: DatasetOptions,
): Promise<{ dataset: Dataset; quarantined: readonly Quarantined[]; notes: readonly string[] }> {
  try {
    return await indexFolder(o);
  } catch (error) {
    if (!o.signal.aborted) throw error;
    throw new RondoError('cancelled', 'indexing the data set was cancelled', { cause: error });
  }
}

async function indexFolder(o: DatasetOptions) {
  const report = (phase: DatasetProgress['phase']) => (done: number, total: number) =>
    o.onProgress({ phase, done, total });
  const folder =
    o.data === 'sample'
      ? await drawSample({ cacheDir: o.cacheDir, signal: o.signal, onProgress: report('drawing') })
      : path.resolve(o.data);
  const root = await resolveFolder(folder);
  const { files: images, broken } = await listImageFiles(root, {
    signal: o.signal,
    onFound: (count) => report('listing')(count, 0),
  });
  requireImages(images, root);
  const { labeller, files, notes } = await chooseLabels(o, images);
  requireClasses(labelPaths(files, labeller).classes, files, root, o.labelPattern);
  const findings = await verifyImages(root, files, {
    cacheDir: o.cacheDir,
    signal: o.signal,
    onProgress: report('verifying'),
  });
  const usable: UsableImage[] = [];
  const unusable: Quarantined[] = [];
  for (const file of files) {
    const finding = findings.get(file)!;
    if (labeller(file.path) === undefined) unusable.push({ path: file.path, reason: labeller.reason });
    else if (finding.usable) usable.push({ path: file.path, ...finding });
    else unusable.push({ path: file.path, reason: finding.reason });
  }
  const quarantined = [...unusable, ...broken].sort((a, b) => compareText(a.path, b.path));
  requireMostUsable(quarantined, files.length + broken.length, root);
  // Again, of the usable ones: a class may have had nothing but a broken file.
  const { classes, labels } = labelPaths(usable, labeller);
  requireClasses(classes, files, root, o.labelPattern);
  const split = splitSamples(usable.length, o.validPct, o.seed);
  const pick = (ids: Uint32Array) =>
    Array.from(ids, (id) => {
      const { path, width, height, digest } = usable[id]!;
      return { path, label: labels[id]!, width, height, digest };
    });
  const dataset: Dataset = {
    root,
    classes: [...classes],
    train: pick(split.train),
    valid: pick(split.valid),
    digest: digestSamples(
      classes,
      usable.map(({ path, digest }, id) => ({ path, label: labels[id]!, digest })),
    ),
  };
  return { dataset, quarantined, notes };
}

type UsableImage = { readonly path: string } & Extract<Finding, { readonly usable: true }>;

interface Labelled {
  readonly labeller: Labeller;
  /** Those that are to have a label. */
  readonly files: readonly ImageFile[];
  /** What the person should know of the others. */
  readonly notes: readonly string[];
}

async function chooseLabels(
  { labelPattern, labelsFile }: DatasetOptions,
  images: readonly ImageFile[],
): Promise<Labelled> {
  if (labelsFile === undefined) {
    const labeller = labelPattern === undefined ? labelByFolder() : labelByPattern(labelPattern);
    return { labeller, files: images, notes: [] };
  }
  const { labeller, missing } = await readLabelsFile(labelsFile, images);
  const files = images.filter((image) => labeller(image.path) !== undefined);
  const name = path.basename(labelsFile);
  const left = images.length - files.length;
  const notes = [
    ...(left > 0 ? [`${left} of ${images.length} images are not in ${name} and are left out`] : []),
    ...(missing.length > 0
      ? [`${missing.length} of the files that ${name} names are not there, for example ${missing[0]}`]
      : []),
  ];
  return { labeller, files, notes };
}
