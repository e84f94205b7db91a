import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { type FileListing, type ImageFile, type ListOptions, listImageFiles } from './image-files.js';
import { type DataRemark, listNames, remark } from './remarks.js';
import { readSetName, type SetName } from './set-column.js';
import { drawInstead, type GivenSplit, type SplitKind } from './split.js';

/** An image with the set that a folder puts it into; undefined where no folder does. */
export interface ListedImage extends ImageFile {
  readonly root: string;
  readonly set: SetName | undefined;
}

/** Property by property: V8 gives each object that is spread from another a shape of its own, of 300 bytes. */
export function inSet(
  { path, size, stamp, settled }: ImageFile,
  root: string,
  set: SetName | undefined,
): ListedImage {
  return { path, size, stamp, settled, root, set };
}

export interface ListedSets extends Omit<FileListing, 'files'> {
  /** To train on, or to divide; then those of the validation set. */
  readonly files: readonly ListedImage[];
  /** Folder that the paths of validation images are relative to. */
  readonly validRoot: string;
  /** The folder that gives the validation set; null when none does. */
  readonly validation: GivenSplit | null;
  /** Folders below the root that hold a set's classes and are none themselves. */
  readonly setFolders: readonly string[];
  readonly remarks: readonly DataRemark[];
}

/**
 * Lists a folder's images by set: `validDir` validates when it is given; else, with `auto`, `root`'s folders
 * `train` and `valid` (or `val`, `validation`) are the sets when both hold images. A folder `test` beside
 * them takes no part.
 */
export async function listSets(
  root: string,
  validDir: string | null,
  split: SplitKind,
  o: ListOptions,
): Promise<ListedSets> {
  if (validDir !== null) return listApart(root, validDir, o);
  const folders = split === 'auto' ? await findSetFolders(root) : null;
  const bySet = folders === null ? null : await listBySet(root, folders, o);
  if (bySet !== null) return bySet;
  const listing = await listImageFiles(root, o);
  const files = listing.files.map((file) => inSet(file, root, undefined));
  return { ...listing, files, validRoot: root, validation: null, setFolders: [], remarks: [] };
}

/** Two folders. What lies in both, one being inside the other, belongs to the inner one. */
async function listApart(root: string, validRoot: string, o: ListOptions): Promise<ListedSets> {
  if (root === validRoot) {
    throw new RondoError('invalid-argument', `--valid and --data are both ${root}`, {
      remedy: 'give --valid another folder, or leave it out to draw the validation set from --data',
    });
  }
  const train = leaveOut(await listImageFiles(root, o), root, validRoot);
  const onFound = (count: number) => o.onFound(train.files.length + count);
  const valid = leaveOut(await listImageFiles(validRoot, { ...o, onFound }), validRoot, root);
  if (valid.files.length === 0) {
    throw new RondoError('invalid-argument', `there are no images in ${validRoot}, which --valid names`, {
      remedy: 'give a folder with one sub-folder of images per class, as for --data',
    });
  }
  const merged = merge([train, valid]);
  return {
    ...merged,
    files: [
      ...train.files.map((file) => inSet(file, root, 'train')),
      ...valid.files.map((file) => inSet(file, validRoot, 'valid')),
    ],
    validRoot,
    validation: { source: `the folder ${validRoot}`, otherwise: 'without --valid, --data gives both sets' },
    setFolders: [],
    remarks: [],
  };
}

function leaveOut(listing: FileListing, root: string, other: string): FileListing {
  const inside = path.relative(root, other).split(path.sep).join('/');
  if (inside.startsWith('..')) return listing;
  const stays = (name: string) => name !== inside && !name.startsWith(`${inside}/`);
  return {
    files: listing.files.filter((file) => stays(file.path)),
    broken: listing.broken.filter((file) => stays(file.path)),
    unlisted: listing.unlisted.filter((file) => stays(file.path)),
    doubles: listing.doubles.filter(stays),
    others: listing.others.filter(stays),
    emptyFolders: listing.emptyFolders.filter(stays),
  };
}

interface SetFolders {
  readonly train: string;
  readonly valid: string | null;
  readonly test: readonly string[];
  /** Folders that are no set. */
  readonly rest: readonly string[];
}

/**
 * The folders of a root by the sets that they are named after; null unless one is `train` beside another set.
 */
async function findSetFolders(root: string): Promise<SetFolders | null> {
  const names = (await readdir(root)).filter((name) => !name.startsWith('.')).sort();
  const isFolder = (name: string) =>
    stat(path.join(root, name)).then(
      (stats) => stats.isDirectory(),
      () => false,
    );
  const folders: Record<SetName | 'rest', string[]> = { train: [], valid: [], test: [], rest: [] };
  for (const name of names) if (await isFolder(name)) folders[readSetName(name) ?? 'rest'].push(name);
  const [train, ...moreTrain] = folders.train;
  const [valid, ...moreValid] = folders.valid;
  if (train === undefined || (valid === undefined && folders.test.length === 0)) return null;
  return {
    train,
    valid: valid ?? null,
    test: folders.test,
    rest: [...moreTrain, ...moreValid, ...folders.rest],
  };
}

/** Null when it turns out that the folders are no sets. */
async function listBySet(root: string, folders: SetFolders, o: ListOptions): Promise<ListedSets | null> {
  const listFolder = (within: string, found = 0) =>
    listImageFiles(root, { ...o, within, onFound: (count) => o.onFound(found + count) });
  const left = await Promise.all([...folders.test, ...folders.rest].map((name) => listFolder(name)));
  const countIn = (name: string) => left[[...folders.test, ...folders.rest].indexOf(name)]!.files.length;
  const rest = folders.rest.filter((name) => countIn(name) > 0);
  // Beside other folders, train and test may be classes like those; train and valid are not.
  if (folders.valid === null && rest.length > 0) return null;
  const train = await listFolder(folders.train);
  const valid = folders.valid === null ? null : await listFolder(folders.valid, train.files.length);
  if (train.files.length === 0 || valid?.files.length === 0) return null;

  const set = valid === null ? undefined : ('train' as const);
  const remarks: DataRemark[] = [];
  const tested = folders.test.filter((name) => countIn(name) > 0);
  const count = (names: readonly string[]) => names.reduce((sum, name) => sum + countIn(name), 0);
  if (valid === null) {
    const text =
      `there is no folder valid beside ${folders.train}: the images to validate on are drawn from ${folders.train}, and ` +
      `${listNames(tested)} (${count(tested)} images) takes no part; to validate on it, give --valid ${path.join(root, folders.test[0]!)}`;
    remarks.push(remark('warning', 'test-set', tested, text));
  } else if (tested.length > 0) {
    const text = `${listNames(tested)} (${count(tested)} images) is neither trained nor validated on`;
    remarks.push(remark('note', 'test-set', tested, text));
  }
  if (rest.length > 0) {
    const text = `${count(rest)} images beside ${folders.train} and ${folders.valid} left out: ${listNames(rest)}`;
    remarks.push(remark('warning', 'other-files', rest, text));
  }
  const trained = train.files.map((file) => inSet(file, root, set));
  const validated = valid?.files.map((file) => inSet(file, root, 'valid')) ?? [];
  return {
    ...merge(valid === null ? [train] : [train, valid]),
    files: [...trained, ...validated],
    validRoot: root,
    validation: valid === null ? null : { source: `the folder ${folders.valid}`, otherwise: drawInstead },
    setFolders: [folders.train, ...(folders.valid === null ? [] : [folders.valid])],
    remarks,
  };
}

function merge(listings: readonly FileListing[]): Omit<FileListing, 'files'> {
  return {
    broken: listings.flatMap(({ broken }) => broken),
    unlisted: listings.flatMap(({ unlisted }) => unlisted),
    doubles: listings.flatMap(({ doubles }) => doubles),
    others: listings.flatMap(({ others }) => others),
    emptyFolders: listings.flatMap(({ emptyFolders }) => emptyFolders),
  };
}
