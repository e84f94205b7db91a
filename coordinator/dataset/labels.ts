import { posix } from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { compareText } from './order.js';

/**
 * The class name of one relative path, or undefined when the path does not tell. In Unicode's composed form
 * (NFC): é is one letter or two by the system that a file was named on, and both spell the same class.
 */
export interface Labeller {
  (path: string): string | undefined;
  /** Why a path has no label. */
  readonly reason: string;
}

/**
 * The name of the folder that a file lies in, unless that is one of `setFolders`, which hold classes and are
 * none.
 */
export function labelByFolder(setFolders: readonly string[] = []): Labeller {
  const label = (path: string) =>
    setFolders.includes(posix.dirname(path)) ? undefined : path.split('/').at(-2)?.normalize();
  return Object.assign(label, { reason: 'lies in no class folder' });
}

/**
 * What the pattern's one capture group matches in '/' + path, as fastai's `from_name_re` does with whole
 * paths: the pattern for the Oxford pets is `/([^/]+)_\d+.jpg$`. Throws RondoError for an invalid pattern or
 * another number of groups.
 */
export function labelByPattern(pattern: string): Labeller {
  const regex = compile(pattern.normalize());
  const groups = new RegExp(`${pattern}|`).exec('')!.length - 1;
  if (groups !== 1) {
    throw new RondoError('invalid-argument', `the label pattern ${pattern} has ${groups} capture groups`, {
      remedy:
        groups === 0
          ? 'put parentheses around the part of the path that is the label'
          : 'keep one group and write the others as (?:...)',
    });
  }
  const label = (path: string) => regex.exec(`/${path.normalize()}`)?.[1] || undefined;
  return Object.assign(label, { reason: 'does not match the label pattern' });
}

export interface Labels {
  /** Sorted by code point, so capitals come first. */
  readonly classes: readonly string[];
  /** One per file: an index into `classes`, or undefined. */
  readonly labels: readonly (number | undefined)[];
}

export function labelPaths(files: readonly { path: string }[], labeller: Labeller): Labels {
  const names = files.map(({ path }) => labeller(path));
  const classes = [...new Set(names.filter((name) => name !== undefined))].sort(compareText);
  const numbers = new Map(classes.map((name, label) => [name, label]));
  return { classes, labels: names.map((name) => (name === undefined ? undefined : numbers.get(name))) };
}

/**
 * A factor per class that gives all classes the same share of the loss, n / (classes × count), as
 * scikit-learn's `balanced` has it: the mean over the samples is 1. A class without samples, which never
 * weighs, has 1.
 */
export function balanceClasses(classCount: number, labels: Iterable<number>): number[] {
  const counts = new Array<number>(classCount).fill(0);
  let samples = 0;
  for (const label of labels) {
    counts[label]! += 1;
    samples += 1;
  }
  return counts.map((count) => (count === 0 ? 1 : samples / (classCount * count)));
}

function compile(pattern: string): RegExp {
  try {
    return new RegExp(pattern);
  } catch (error) {
    throw new RondoError(
      'invalid-argument',
      `the label pattern is not a regular expression: ${(error as Error).message}`,
      {
        remedy:
          "use JavaScript syntax and quote it for the shell, as in --label-pattern '/([^/]+)_\\d+.jpg$'",
        cause: error,
      },
    );
  }
}
