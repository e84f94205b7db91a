import path from 'node:path';
import { printable } from '../../runtime/printable.js';
import { type Labeller, labelByFolder, labelByPattern } from './labels.js';
import { type FileLabels, readLabelsFile } from './labels-file.js';
import { type DataRemark, listNames, remark, remarkNesting, remarkPassedOver } from './remarks.js';
import { inSet, type ListedImage, type ListedSets } from './sets.js';
import { drawInstead, type GivenSplit, type SplitKind } from './split.js';

export interface LabelOptions {
  readonly labelPattern?: string;
  readonly labelsFile?: string;
  readonly split?: SplitKind;
  /** Bytes of the table that are read. */
  onTableRead?(done: number, total: number): void;
}

/** The images of a folder that take part, and what they are called. */
export interface Labelled {
  readonly labeller: Labeller;
  /** Those that are to have a label. */
  readonly files: readonly ListedImage[];
  /** What gives the validation set; null when it is to be drawn. */
  readonly validation: GivenSplit | null;
  readonly remarks: readonly DataRemark[];
}

/**
 * Takes labels from folders, from paths by a pattern, or from a table, which may give the validation set too.
 * Throws what the reader of the pattern or of the table throws.
 */
export async function chooseLabels(o: LabelOptions, listed: ListedSets): Promise<Labelled> {
  const { labelPattern, labelsFile } = o;
  const byFolder = labelsFile === undefined && labelPattern === undefined;
  const others = listed.others.filter((name) => path.join(listed.validRoot, name) !== labelsFile);
  const remarks = [...listed.remarks, ...remarkPassedOver({ ...listed, others }, byFolder)];
  if (labelsFile !== undefined) {
    const table = await readLabelsFile(labelsFile, listed.files, o.onTableRead);
    return applyTable(table, path.basename(labelsFile), listed, remarks, o.split ?? 'auto');
  }
  const labeller = byFolder ? labelByFolder(listed.setFolders) : labelByPattern(labelPattern!);
  if (byFolder) {
    const labelled = listed.files.filter((file) => labeller(file.path) !== undefined);
    for (const found of remarkNesting(labelled.map((file) => file.path))) remarks.push(found);
  }
  return { labeller, files: listed.files, validation: listed.validation, remarks };
}

function applyTable(
  { labeller, missing, sets, unusedColumns }: FileLabels,
  name: string,
  listed: ListedSets,
  before: readonly DataRemark[],
  split: SplitKind,
): Labelled {
  const remarks = [...before];
  const labelled = listed.files.filter((image) => labeller(image.path) !== undefined);
  const left = listed.files.filter((image) => labeller(image.path) === undefined).map((image) => image.path);
  if (left.length > 0) {
    const text = `${left.length} of ${listed.files.length} images are not in ${name} and are left out`;
    remarks.push(remark('note', 'unlabelled-images', left, text));
  }
  if (missing.length > 0) {
    const text = `${missing.length} of the files that ${name} names are not there, for example ${printable(missing[0]!)}`;
    remarks.push(remark('note', 'missing-images', missing, text));
  }
  const usesSets = sets !== null && listed.validation === null && split === 'auto';
  const unused = sets === null || usesSets ? unusedColumns : [...unusedColumns, sets.column];
  if (unused.length > 0) {
    const text = `${name} has columns that are not used: ${listNames(unused)}`;
    remarks.push(remark('note', 'unused-columns', unused, text));
  }
  if (!usesSets) return { labeller, files: labelled, validation: listed.validation, remarks };

  const files = labelled.map((file) => inSet(file, file.root, sets.of(file.path)));
  const tested = files.filter((file) => file.set === 'test').map((file) => file.path);
  if (tested.length > 0) {
    const text = `${tested.length} images that ${name} puts into a test set are neither trained nor validated on`;
    remarks.push(remark('note', 'test-set', tested, text));
  }
  const taking = files.filter((file) => file.set !== 'test');
  if (!taking.some((file) => file.set === 'valid')) {
    const text = `the column ${sets.column} of ${name} puts no image into a validation set: it is drawn`;
    remarks.push(remark('warning', 'validation-set', [sets.column], text));
    return { labeller, files: taking, validation: null, remarks };
  }
  const validation = { source: `the column ${sets.column} of ${name}`, otherwise: drawInstead };
  return { labeller, files: taking, validation, remarks };
}
