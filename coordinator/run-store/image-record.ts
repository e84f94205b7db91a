import { createReadStream } from 'node:fs';
import { posix, relative, sep } from 'node:path';
import { createInterface } from 'node:readline';
import type { Dataset } from '../../proto/dataset.js';
import { writeDurably } from '../../runtime/durable-file.js';
import { RondoError } from '../../runtime/errors.js';

/**
 * What differs between the images that a run began with and those that are there now. Paths are relative to
 * the data's folder.
 */
export interface ImageChanges {
  /** Under their names are other bytes. */
  readonly changed: readonly string[];
  readonly missing: readonly string[];
  readonly added: readonly string[];
}

const linesPerWrite = 1000;
/** Files that a sentence names. */
const namedFiles = 5;

/**
 * Writes the digest of every image of a data set, as `sha256sum` does: inside the data's folder, `sha256sum
 * -c` checks it.
 */
export async function writeImageRecord(file: string, dataset: Dataset): Promise<void> {
  await writeDurably(file, encode(dataset));
}

/**
 * Every sample's path relative to the data's folder, which those of a validation set elsewhere may leave, and its
 * digest.
 */
function* listImages({ root, validRoot, train, valid }: Dataset): Generator<[path: string, digest: string]> {
  for (const { path, digest } of train) yield [path, digest];
  const way = validRoot === undefined ? '' : relativeFolder(root, validRoot);
  for (const { path, digest } of valid) yield [way === '' ? path : posix.join(way, path), digest];
}

/** What paths inside `validRoot` begin with in the record, where `root` is the data's folder. */
export function relativeFolder(root: string, validRoot: string): string {
  return relative(root, validRoot).split(sep).join('/');
}

function* encode(dataset: Dataset): Generator<string> {
  let lines: string[] = [];
  for (const [path, digest] of listImages(dataset)) {
    const escaped = path.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
    lines.push(`${escaped === path ? '' : '\\'}${digest}  ${escaped}\n`);
    if (lines.length < linesPerWrite) continue;
    yield lines.join('');
    lines = [];
  }
  yield lines.join('');
}

/** Digests by path. Throws not-found when a run has no such record, data-loss for a line that is none. */
export async function readImageRecord(file: string): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  try {
    for await (const line of createInterface({
      input: createReadStream(file, 'utf8'),
      crlfDelay: Infinity,
    })) {
      const found = /^(\\?)([0-9a-f]{64}) {2}(.+)$/.exec(line);
      if (found === null) throw damaged(file, digests.size + 1);
      const [, escaping, digest, path] = found as unknown as [string, string, string, string];
      digests.set(escaping === '' ? path : unescapePath(path), digest);
    }
  } catch (thrown) {
    throw RondoError.from(thrown);
  }
  return digests;
}

function unescapePath(path: string): string {
  return path.replace(/\\([\\nr])/g, (_, letter: string) => ({ n: '\n', r: '\r' })[letter] ?? letter);
}

function damaged(file: string, line: number): RondoError {
  return new RondoError('data-loss', `${file}, line ${line}, is not a digest and a path`, {
    remedy: 'restore the file from a copy',
  });
}

/** `recorded` and `found`: digests by path. */
export function compareImages(
  recorded: ReadonlyMap<string, string>,
  found: ReadonlyMap<string, string>,
): ImageChanges {
  const changes = { changed: [] as string[], missing: [] as string[], added: [] as string[] };
  for (const [path, digest] of recorded) {
    const now = found.get(path);
    if (now === undefined) changes.missing.push(path);
    else if (now !== digest) changes.changed.push(path);
  }
  for (const path of found.keys()) if (!recorded.has(path)) changes.added.push(path);
  return changes;
}

/** The digests of a data set's images, by path. */
export function digestsOf(dataset: Dataset): Map<string, string> {
  return new Map(listImages(dataset));
}

/** One clause, such as "2 have changed (a/1.jpg, b/2.jpg), 1 is gone (c/3.jpg)"; empty without any change. */
export function describeChanges({ changed, missing, added }: ImageChanges): string {
  const parts = [
    describe(changed, 'has changed', 'have changed'),
    describe(missing, 'is gone', 'are gone'),
    describe(added, 'is new', 'are new'),
  ];
  return parts.filter((part) => part !== '').join(', ');
}

function describe(paths: readonly string[], one: string, many: string): string {
  if (paths.length === 0) return '';
  const more = paths.length > namedFiles ? [`and ${paths.length - namedFiles} more`] : [];
  const names = [...paths.slice(0, namedFiles).map((path) => JSON.stringify(path).slice(1, -1)), ...more];
  return `${paths.length} ${paths.length === 1 ? one : many} (${names.join(', ')})`;
}
