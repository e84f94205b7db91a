import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { imageName } from '../../runtime/images.js';
import { type CsvRow, parseCsv } from './csv.js';
import type { Labeller } from './labels.js';
import { findSetColumn, type SetColumn, type SetName } from './set-column.js';

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
 * image; a column `is_valid` or `split` says which images validate.
 *
 * @throws RondoError not-found, or invalid-argument that names the line
 */
export async function readLabelsFile(file: string, images: Images): Promise<FileLabels> {
  const name = basename(file);
  const rows = parseCsv(await readBytes(file), name);
  const fields = rows[0]?.fields.length ?? 0;
  if (fields === 1) {
    throw new RondoError('invalid-argument', `${name}, line ${rows[0]!.line}, has a single column`, {
      remedy: 'the first two columns are the path and the label, with a comma between them',
    });
  }
  return matchLabels(rows, images, name);
}

interface Entry {
  readonly label: string;
  readonly set: SetName | undefined;
  readonly line: number;
}

/** Pure: rows of at least two fields each, against the images of a folder. */
export function matchLabels(rows: readonly CsvRow[], images: Images, name: string): FileLabels {
  const find = indexPaths(images, name);
  const first = rows[0];
  const headed = first !== undefined && !imageName.test(first.fields[0]!) && find(first) === undefined;
  const header = headed ? first : null;
  const body = headed ? rows.slice(1) : rows;
  const column = findSetColumn(header, body, name);
  const entries = new Map<string, Entry>();
  const missing: string[] = [];
  for (const row of body) {
    const [written, text] = row.fields as [string, string];
    requirePrintable(written, 'path', row.line, name);
    requirePrintable(text, 'label', row.line, name);
    if (text === '')
      throw wrong(name, row.line, `gives "${written}" no label`, 'write one, or remove the line');
    const path = find(row);
    if (path === undefined) {
      missing.push(written);
      continue;
    }
    const entry = { label: text.normalize(), set: column?.setOf(row), line: row.line };
    requireSame(entries.get(path), entry, path, name);
    entries.set(path, entry);
  }
  requireMatches(entries, missing, images, name);
  const labeller = (path: string) => entries.get(path)?.label;
  return {
    labeller: Object.assign(labeller, { reason: `is not in ${name}` }),
    missing,
    sets: column === null ? null : { column: column.name, of: (path) => entries.get(path)?.set },
    unusedColumns: listUnused(first, header, column),
  };
}

/**
 * Finds the image that a row names: by its path, or by its path without the ending when that is of one image
 * only.
 */
function indexPaths(images: Images, name: string) {
  const paths = new Set(images.map(({ path }) => path));
  const others = new Map<string, string[]>();
  const add = (key: string, path: string) => others.set(key, [...(others.get(key) ?? []), path]);
  for (const path of paths) {
    const composed = path.normalize();
    add(composed, path);
    add(composed.replace(imageName, ''), path);
  }
  return ({ line, fields }: CsvRow): string | undefined => {
    const path = fields[0]!.replaceAll('\\', '/').replace(/^(?:\.?\/)+/, '');
    if (paths.has(path)) return path;
    const candidates = others.get(path.normalize()) ?? [];
    if (candidates.length < 2) return candidates[0];
    throw wrong(name, line, `could mean ${candidates.join(' or ')}`, 'write the name with its ending');
  };
}

/** A name with a line break or an escape sequence in it is a damaged file, not a name that somebody chose. */
function requirePrintable(text: string, what: 'path' | 'label', line: number, name: string): void {
  const found = /[\p{Cc}\u2028\u2029]/u.exec(text)?.[0].charCodeAt(0);
  if (found === undefined) return;
  const code = `U+${found.toString(16).toUpperCase().padStart(4, '0')}`;
  const fault = `has a control character (${code}) in the ${what}`;
  throw wrong(name, line, fault, 'remove it: labels and paths are a single line of plain text');
}

function requireSame(before: Entry | undefined, entry: Entry, path: string, name: string): void {
  if (before === undefined) return;
  if (before.label !== entry.label) {
    const fault = `calls ${path} "${entry.label}", but line ${before.line} calls it "${before.label}"`;
    throw wrong(name, entry.line, fault, 'an image has one label: remove one of the lines');
  }
  if (before.set !== entry.set) {
    const fault = `puts ${path} into the ${entry.set} set, but line ${before.line} into the ${before.set} set`;
    throw wrong(name, entry.line, fault, 'an image is in one set: remove one of the lines');
  }
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

async function readBytes(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (thrown) {
    const { code, message } = RondoError.from(thrown);
    const said = code === 'not-found' ? `there is no file ${file}` : `cannot read ${file}: ${message}`;
    throw new RondoError(code, said, {
      remedy: 'give --labels a CSV file with the columns path,label',
      cause: thrown,
    });
  }
}
