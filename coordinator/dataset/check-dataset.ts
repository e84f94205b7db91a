import { realpath, stat } from 'node:fs/promises';
import { RondoError } from '../../runtime/errors.js';
import { imageEndings } from '../../runtime/images.js';
import { printable } from '../../runtime/printable.js';
import type { ImageFile, Quarantined } from './image-files.js';

/** When at least this share of the files is unusable, something is wrong with the whole folder. */
const maxQuarantinedShare = 0.01;
/** Files that an error message names. */
const namedFiles = 5;

/** The folder that `--data` or `--valid` names, without links in its path. */
export async function resolveFolder(folder: string, option: 'data' | 'valid'): Promise<string> {
  const remedy =
    option === 'data'
      ? 'give a folder with one sub-folder of images per class, the folder of packed images, or sample, the data set that Rondo draws itself'
      : 'give --valid a folder with one sub-folder of images per class, or leave it out';
  try {
    const root = await realpath(folder);
    if ((await stat(root)).isDirectory()) return root;
  } catch (error) {
    const { code, message } = RondoError.from(error);
    const said =
      code === 'not-found'
        ? `there is no folder ${folder}${option === 'valid' ? ', which --valid names' : ''}`
        : `cannot open ${folder}: ${message}`;
    throw new RondoError(code, said, { remedy, cause: error });
  }
  throw new RondoError('invalid-argument', `${folder} is not a folder`, { remedy });
}

/** Throws when there are no images. */
export function requireImages(files: readonly ImageFile[], root: string): void {
  if (files.length > 0) return;
  throw new RondoError('invalid-argument', `there are no images in ${root}`, {
    remedy: `files that end in ${imageEndings} are looked for in the folder and everything below it, hidden ones aside`,
  });
}

/** Throws when a folder cannot be listed: it may hold a whole class. */
export function requireListed(unlisted: readonly Quarantined[], root: string): void {
  const [first] = unlisted;
  if (first === undefined) return;
  const more = unlisted.length > 1 ? `, nor can ${unlisted.length - 1} other folders` : '';
  throw new RondoError('permission-denied', `${root}/${first.path} ${first.reason}${more}`, {
    remedy: 'make the folder readable, move it out of the data set, or go on without it: --skip-broken',
  });
}

/** Throws unless at least two classes have a name. */
export function requireClasses(
  classes: readonly string[],
  files: readonly ImageFile[],
  root: string,
  pattern: string | undefined,
): void {
  const looked = `looked at ${files.length} image files, for example /${files[0]!.path}`;
  if (classes.length === 0 && pattern !== undefined) {
    throw new RondoError(
      'invalid-argument',
      `the label pattern ${pattern} matches no file of ${root}: ${looked}`,
      {
        remedy:
          "the pattern is matched against '/' and the path inside the folder, with forward slashes; case matters",
      },
    );
  }
  if (classes.length < 2) {
    const found = classes.length === 0 ? 'no class folder' : `only one class, ${classes[0]},`;
    throw new RondoError('invalid-argument', `found ${found} in ${root}: ${looked}`, {
      remedy:
        'put each class into a folder of its own, or take labels from file names with --label-pattern, or from a CSV file with --labels',
    });
  }
}

/** Throws, naming the first few files, unless less than 1 % of `total` files are left out. */
export function requireMostUsable(quarantined: readonly Quarantined[], total: number, root: string): void {
  if (quarantined.length < total * maxQuarantinedShare) return;
  const named = quarantined.slice(0, namedFiles).map(({ path, reason }) => `  ${printable(path)} ${reason}`);
  const more = quarantined.length > namedFiles ? [`  and ${quarantined.length - namedFiles} more`] : [];
  throw new RondoError(
    'invalid-argument',
    [`${quarantined.length} of ${total} images in ${root} cannot be used:`, ...named, ...more].join('\n'),
    {
      remedy:
        'repair or remove these files, or go on without them: --skip-broken; below 1 % of a folder they are left out ' +
        'and the run goes on. --json lists all of them',
    },
  );
}
