import { posix } from 'node:path';
import type { z } from 'zod';
import type { dataRemarkSchema } from '../../proto/run-files.js';
import { printable } from '../../runtime/printable.js';
import type { FileListing } from './image-files.js';
import { readSetName } from './set-column.js';
import type { GivenSplit } from './split.js';

/**
 * Something about a folder that is no error but should be known: files that were passed over, classes that
 * look wrong.
 */
export type DataRemark = Readonly<z.infer<typeof dataRemarkSchema>>;

/** Names that a remark keeps, and that its text names. */
const [keptNames, toldNames] = [20, 3];

/** Endings of images that cannot be read safely, or at all. */
const unreadImage =
  /\.(bmp|dib|heic|heif|hif|jp2|j2k|jpx|jxl|svgz?|psd|ico|tga|p[bgp]m|pnm|exr|hdr|cr2|cr3|nef|arw|dng|orf|rw2|raf|pcx|xbm|webm|mp4|mov|avi)$/i;

export function remark(
  level: DataRemark['level'],
  about: DataRemark['about'],
  names: readonly string[],
  text: string,
): DataRemark {
  return { level, about, text, count: names.length, names: names.slice(0, keptNames) };
}

/** "a, b, c and 7 more", fit for a line. */
export function listNames(names: readonly string[]): string {
  const told = names.slice(0, toldNames).map(printable).join(', ');
  return names.length > toldNames ? `${told} and ${names.length - toldNames} more` : told;
}

/** What lies in a folder beside the images that are read. */
export function remarkPassedOver(
  { others, emptyFolders, doubles }: Pick<FileListing, 'others' | 'emptyFolders' | 'doubles'>,
  labelledByFolder: boolean,
): DataRemark[] {
  const images = others.filter((name) => unreadImage.test(name));
  const rest = others.filter((name) => !unreadImage.test(name));
  const remarks: DataRemark[] = [];
  if (images.length > 0) {
    const text = `${files(images.length)} of a kind that is not read, left out: ${countEndings(images)}, for example ${printable(images[0]!)}`;
    remarks.push(remark('warning', 'unread-images', images, text));
  }
  if (rest.length > 0) {
    const text = `${files(rest.length)} without an image's ending, passed over: ${countEndings(rest)}`;
    remarks.push(remark('note', 'other-files', rest, text));
  }
  if (emptyFolders.length > 0) {
    const one = emptyFolders.length === 1;
    const are = labelledByFolder ? (one ? ' and is no class' : ' and are no classes') : '';
    const hold = one ? 'a folder holds' : `${emptyFolders.length} folders hold`;
    const text = `${hold} no image that is read${are}: ${listNames(emptyFolders)}`;
    remarks.push(remark('warning', 'empty-folders', emptyFolders, text));
  }
  if (doubles.length > 0) {
    const text = `${doubles.length === 1 ? 'a link' : `${doubles.length} links`} to what is listed under another name, counted once: ${listNames(doubles)}`;
    remarks.push(remark('warning', 'links', doubles, text));
  }
  return remarks;
}

/** Names that folders of images have, and classes rarely. */
const folderName = /^(images?|imgs?|pictures?|photos?|data|datasets?|jpe?gs?|pngs?)$/i;

/** Classes that look like something else: of each class its name and how many images it has. */
export function remarkClasses(counts: ReadonlyMap<string, number>): DataRemark[] {
  const names = [...counts.keys()];
  const remarks: DataRemark[] = [];
  const odd = names.filter((name) => readSetName(name) !== undefined || folderName.test(name));
  if (odd.length > 0) {
    const one = odd.length === 1;
    const text = `${listNames(odd)} ${one ? 'is a class here, though its name is' : 'are classes here, though their names are'} that of a set or a folder of images: is the label the right part of the path?`;
    remarks.push(remark('warning', 'class-names', odd, text));
  }
  const alike = findAlike(names);
  if (alike.length > 0) {
    const text = `classes that differ in case, blanks or invisible characters alone: ${listNames(alike)}`;
    remarks.push(remark('warning', 'similar-classes', alike, text));
  }
  const single = names.filter((name) => counts.get(name) === 1);
  if (single.length >= 5 && single.length * 2 >= names.length) {
    const text = `${single.length} of ${names.length} classes have a single image: ${listNames(single)}: is the label the right part of the path?`;
    remarks.push(remark('warning', 'single-image-classes', single, text));
  }
  return remarks;
}

function findAlike(names: readonly string[]): string[] {
  const groups = new Map<string, string[]>();
  for (const name of names) groups.set(fold(name), [...(groups.get(fold(name)) ?? []), name]);
  return [...groups.values()].filter((group) => group.length > 1).flat();
}

function fold(name: string): string {
  return name
    .normalize('NFKC')
    .replace(/[\s\p{C}]+/gu, '')
    .toLowerCase();
}

/**
 * Folders inside a folder of images that count as classes of their own. `paths` are of labelled images;
 * labels come from folders.
 */
export function remarkNesting(paths: readonly string[]): DataRemark[] {
  const folders = new Set(paths.map((path) => posix.dirname(path)));
  const nested = [...folders].filter((folder) => {
    for (let at = posix.dirname(folder); at !== '.'; at = posix.dirname(at)) if (folders.has(at)) return true;
    return false;
  });
  if (nested.length === 0) return [];
  const text = `${nested.length === 1 ? 'a folder inside a class folder counts as a class of its own' : `${nested.length} folders inside class folders count as classes of their own`}: ${listNames(nested)}`;
  return [remark('warning', 'nested-classes', nested, text)];
}

/** Classes without training images, or without validation images. */
export function remarkCoverage(
  classes: readonly string[],
  train: Iterable<{ readonly label: number }>,
  valid: Iterable<{ readonly label: number }>,
  drawnAtRandom: boolean,
): DataRemark[] {
  const without = (samples: Iterable<{ readonly label: number }>) => {
    const present = new Set<number>();
    for (const { label } of samples) present.add(label);
    return classes.filter((_, label) => !present.has(label));
  };
  const [untrained, unmeasured] = [without(train), without(valid)];
  const remarks: DataRemark[] = [];
  if (untrained.length > 0) {
    const text = `${countClasses(untrained.length)} no image to train on: ${listNames(untrained)}`;
    remarks.push(remark('warning', 'classes-without-training', untrained, text));
  }
  if (unmeasured.length > 0) {
    const text = `${countClasses(unmeasured.length)} no image to validate on: ${listNames(unmeasured)}${drawnAtRandom ? '; --split stratified draws from each class' : ''}`;
    remarks.push(remark('warning', 'classes-without-validation', unmeasured, text));
  }
  return remarks;
}

/** Which images validate, where they are not drawn. */
export function remarkGivenSplit(
  { source, otherwise }: GivenSplit,
  train: { readonly length: number },
  valid: Iterable<{ readonly path: string }> & { readonly length: number },
): DataRemark {
  const count = `${valid.length} of ${train.length + valid.length} images`;
  const text = `the validation set is ${printable(source)}: ${count}; ${otherwise}`;
  const names = Array.from(valid, ({ path }) => path);
  return remark('note', 'validation-set', names, text);
}

/** Images whose bytes are in both sets: validating on them measures memorisation. */
export function remarkOverlap(
  train: Iterable<{ readonly digest: string }>,
  valid: Iterable<{ readonly digest: string; readonly path: string }> & { readonly length: number },
): DataRemark[] {
  // Sets of the fewer ones: these are lists of all images.
  const measured = new Set<string>();
  for (const { digest } of valid) measured.add(digest);
  const shared = new Set<string>();
  for (const { digest } of train) if (measured.has(digest)) shared.add(digest);
  const both: string[] = [];
  if (shared.size > 0) for (const { digest, path } of valid) if (shared.has(digest)) both.push(path);
  if (both.length === 0) return [];
  const text = `${both.length} of ${valid.length} images to validate on ${both.length === 1 ? 'is' : 'are'} trained on too, byte for byte: ${listNames(both)}`;
  return [remark('warning', 'images-in-both-sets', both, text)];
}

function countClasses(count: number): string {
  return count === 1 ? 'a class has' : `${count} classes have`;
}

function files(count: number): string {
  return count === 1 ? 'a file' : `${count} files`;
}

/** "12 .bmp, 3 .txt, 1 without ending", the most frequent first. */
function countEndings(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) {
    const ending = posix.extname(name).toLowerCase();
    counts.set(ending, (counts.get(ending) ?? 0) + 1);
  }
  return [...counts]
    .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
    .map(([ending, count]) => `${count} ${ending === '' ? 'without ending' : printable(ending)}`)
    .join(', ');
}
