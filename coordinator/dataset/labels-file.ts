import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { imageName } from '../../runtime/images.js';
import { type CsvRow, readCsv } from './csv.js';
import type { Labeller } from './labels.js';
import { findSetColumns, type SetColumn, type SetName } from './set-column.js';

/** Shorter files are read before anybody asks how far it is. */
const toldBytes = 1 << 20;

/** What a file of labels says of a folder's images. */
export interface FileLabels {
  readonly labeller: Labeller;
  /** Names in the file that are no image of the folder. */
  readonly missing: readonly string[];
  /** The column that says which images validate, and what it says of one; null when there is none. */
  readonly sets: { readonly column: string; of(path: string): SetName | undefined } | null;
  /** Columns that nothing is taken from: by name, or by number where the file has no header. */
  readonly unusedColumns: readonly string[];
}

type Images = readonly { readonly path: string }[];

/**
 * Labels from a CSV file whose first two columns are an image's path in the folder and its label, as fastai's
 * `from_csv` reads it; names without their ending do too. The first line is a header unless it names an
 * image; a column `is_valid` or `split` says which images validate. Of a long file it is told how many of its
 * bytes are read.
 *
 * @throws RondoError not-found, or invalid-argument that names the line
 */
export function readLabelsFile(
  file: string,
  images: Images,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<FileLabels> {
  const name = basename(file);
  return matchLabels(readCsv(readBytes(file, onProgress), name), images, name);
}

interface Entry {
  readonly label: string;
  /** What each column that may be about sets says. */
  readonly sets: readonly (SetName | undefined)[];
  readonly line: number;
}

/** Rows against the images of a folder. Of a row whose image is there only its label, sets and line are kept. */
export async function matchLabels(
  rows: AsyncIterable<CsvRow> | Iterable<CsvRow>,
  images: Images,
  name: string,
): Promise<FileLabels> {
  const find = indexPaths(images, name);
  const entries = new Map<string, Entry>();
  const missing: string[] = [];
  const labels = createPool<string>();
  const sets = createPool<Entry['sets']>();
  let first: CsvRow | undefined;
  let header: CsvRow | null = null;
  let columns: SetColumn[] = [];
  const contradictions = new Map<SetColumn, RondoError>();
  for await (const row of rows) {
    if (first === undefined) {
      first = row;
      requireTwoColumns(row, name);
      if (!imageName.test(row.fields[0]!) && find(row) === undefined) {
        header = row;
        columns = findSetColumns(row, name);
        continue;
      }
    }
    const [written, text] = row.fields as [string, string];
    requirePrintable(written, 'path', row.line, name);
    requirePrintable(text, 'label', row.line, name);
    if (text === '')
      throw wrong(name, row.line, `gives "${written}" no label`, 'write one, or remove the line');
    const rowSets = columns.map((column) => column.read(row));
    const path = find(row);
    if (path === undefined) {
      missing.push(written);
      continue;
    }
    const label = text.normalize();
    const entry = { label: labels(label, label), sets: sets(rowSets.join(), rowSets), line: row.line };
    const before = entries.get(path);
    if (before === undefined) {
      entries.set(path, entry);
      continue;
    }
    requireSameLabel(before, entry, path, name);
    for (const [index, column] of columns.entries()) {
      if (before.sets[index] === entry.sets[index] || contradictions.has(column)) continue;
      contradictions.set(column, twoSets(before, entry, index, path, name));
    }
  }
  const used = columns.findIndex((column) => column.isOfSets());
  const column = used < 0 ? null : columns[used]!;
  const contradiction = column && contradictions.get(column);
  if (contradiction) throw contradiction;
  requireMatches(entries, missing, images, name);
  const labeller = (path: string) => entries.get(path)?.label;
  return {
    labeller: Object.assign(labeller, { reason: `is not in ${name}` }),
    missing,
    sets: column === null ? null : { column: column.name, of: (path) => entries.get(path)?.sets[used] },
    unusedColumns: listUnused(first, header, column),
  };
}

/** Keeps one of equal values, so that a million rows do not keep a million. */
function createPool<T>(): (key: string, value: T) => T {
  const kept = new Map<string, T>();
  return (key, value) => {
    if (!kept.has(key)) kept.set(key, value);
    return kept.get(key)!;
  };
}

/**
 * Finds the image that a row names: by its path, or by its path without the ending when that is of one image
 * only.
 */
function indexPaths(images: Images, name: string) {
  const paths = new Set(images.map(({ path }) => path));
  /** By path in composed letters, unless it is that itself, and by path without the ending. */
  const others = new Map<string, string | string[]>();
  const add = (key: string, path: string) => {
    const before = others.get(key);
    others.set(key, before === undefined ? path : [before, path].flat());
  };
  for (const path of paths) {
    const composed = path.normalize();
    if (composed !== path) add(composed, path);
    add(composed.replace(imageName, ''), path);
  }
  return ({ line, fields }: CsvRow): string | undefined => {
    const path = fields[0]!.replaceAll('\\', '/').replace(/^(?:\.?\/)+/, '');
    if (paths.has(path)) return path;
    const composed = path.normalize();
    const candidates = [paths.has(composed) ? composed : [], others.get(composed) ?? []].flat();
    if (candidates.length < 2) return candidates[0];
    throw wrong(name, line, `could mean ${candidates.join(' or ')}`, 'write the name with its ending');
  };
}

function requireTwoColumns({ line, fields }: CsvRow, name: string): void {
  if (fields.length > 1) return;
  throw wrong(
    name,
    line,
    'has a single column',
    'the first two columns are the path and the label, with a comma between them',
  );
}

/** A name with a line break or an escape sequence in it is a damaged file, not a name that somebody chose. */
function requirePrintable(text: string, what: 'path' | 'label', line: number, name: string): void {
  const found = /[\p{Cc}\u2028\u2029]/u.exec(text)?.[0].charCodeAt(0);
  if (found === undefined) return;
  const code = `U+${found.toString(16).toUpperCase().padStart(4, '0')}`;
  const fault = `has a control character (${code}) in the ${what}`;
  throw wrong(name, line, fault, 'remove it: labels and paths are a single line of plain text');
}

function requireSameLabel(before: Entry, entry: Entry, path: string, name: string): void {
  if (before.label === entry.label) return;
  const fault = `calls ${path} "${entry.label}", but line ${before.line} calls it "${before.label}"`;
  throw wrong(name, entry.line, fault, 'an image has one label: remove one of the lines');
}

function twoSets(before: Entry, entry: Entry, column: number, path: string, name: string): RondoError {
  const [one, other] = [entry, before].map(({ sets }) => sets[column]);
  const fault = `puts ${path} into the ${one} set, but line ${before.line} into the ${other} set`;
  return wrong(name, entry.line, fault, 'an image is in one set: remove one of the lines');
}

function requireMatches(
  entries: ReadonlyMap<string, Entry>,
  missing: readonly string[],
  images: Images,
  name: string,
): void {
  if (entries.size === 0) {
    const example = missing.length === 0 ? 'it has no line' : `for example "${missing[0]}"`;
    throw new RondoError('invalid-argument', `${name} names no image of the folder: ${example}`, {
      remedy: `paths begin inside the folder, as in ${images[0]!.path}`,
    });
  }
  const classes = new Set(Array.from(entries.values(), ({ label }) => label));
  if (classes.size > 1) return;
  throw new RondoError('invalid-argument', `${name} knows only one class, ${[...classes][0]}`, {
    remedy: 'the second column is the label; a classifier needs at least two',
  });
}

function listUnused(first: CsvRow | undefined, header: CsvRow | null, used: SetColumn | null): string[] {
  const names = first?.fields.map((_, index) => header?.fields[index] || `number ${index + 1}`) ?? [];
  return names.filter((_, index) => index >= 2 && index !== used?.index);
}

function wrong(name: string, line: number, fault: string, remedy: string): RondoError {
  return new RondoError('invalid-argument', `${name}, line ${line}, ${fault}`, { remedy });
}

async function* readBytes(
  file: string,
  onProgress: (done: number, total: number) => void,
): AsyncGenerator<Uint8Array, void, void> {
  let done = 0;
  try {
    const { size } = await stat(file);
    for await (const bytes of createReadStream(file) as AsyncIterable<Buffer>) {
      yield bytes;
      done += bytes.length;
      if (size > toldBytes) onProgress(done, size);
    }
  } catch (thrown) {
    const { code, message } = RondoError.from(thrown);
    const said = code === 'not-found' ? `there is no file ${file}` : `cannot read ${file}: ${message}`;
    throw new RondoError(code, said, {
      remedy: 'give --labels a CSV file with the columns path,label',
      cause: thrown,
    });
  }
}
