import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { type CsvRow, parseCsv } from './csv.js';
import type { Labeller } from './labels.js';

const imageName = /\.(jpe?g|png|webp)$/i;

/** What a file of labels says of a folder's images. */
export interface FileLabels {
  readonly labeller: Labeller;
  /** Names in the file that are no image of the folder. */
  readonly missing: readonly string[];
}

/**
 * Labels from a CSV file whose first two columns are an image's path in the folder and its label, as fastai's
 * `from_csv` reads it; names without their ending do too. The first line is a header unless it names an image.
 *
 * @throws RondoError not-found, or invalid-argument that names the line
 */
export async function readLabelsFile(
  file: string,
  images: readonly { readonly path: string }[],
): Promise<FileLabels> {
  const name = basename(file);
  const rows = parseCsv(await readText(file), name);
  const fields = rows[0]?.fields.length ?? 0;
  if (fields === 1) {
    throw new RondoError('invalid-argument', `${name}, line ${rows[0]!.line}, has a single column`, {
      remedy: 'the first two columns are the path and the label, with a comma between them',
    });
  }
  return matchLabels(rows, images, name);
}

/** Pure: rows of at least two fields each, against the images of a folder. */
export function matchLabels(
  rows: readonly CsvRow[],
  images: readonly { readonly path: string }[],
  name: string,
): FileLabels {
  const find = indexPaths(images, name);
  const first = rows[0];
  const headed = first !== undefined && !imageName.test(first.fields[0]!) && find(first) === undefined;
  const labels = new Map<string, { label: string; line: number }>();
  const missing: string[] = [];
  for (const row of headed ? rows.slice(1) : rows) {
    const [written, label] = row.fields as [string, string];
    if (label === '')
      throw wrong(name, row.line, `gives "${written}" no label`, 'write one, or remove the line');
    const path = find(row);
    if (path === undefined) {
      missing.push(written);
      continue;
    }
    const before = labels.get(path);
    if (before !== undefined && before.label !== label) {
      const fault = `calls ${path} "${label}", but line ${before.line} calls it "${before.label}"`;
      throw wrong(name, row.line, fault, 'an image has one label: remove one of the lines');
    }
    labels.set(path, { label, line: row.line });
  }
  requireMatches(labels, missing, images, name);
  const labeller = (path: string) => labels.get(path)?.label;
  return { labeller: Object.assign(labeller, { reason: `is not in ${name}` }), missing };
}

/** Finds the image that a row names: by its path, or by its path without the ending when that is of one image only. */
function indexPaths(images: readonly { readonly path: string }[], name: string) {
  const paths = new Set(images.map(({ path }) => path));
  const stems = new Map<string, string[]>();
  for (const path of paths) {
    const stem = path.replace(imageName, '');
    stems.set(stem, [...(stems.get(stem) ?? []), path]);
  }
  return ({ line, fields }: CsvRow): string | undefined => {
    const path = fields[0]!.replaceAll('\\', '/').replace(/^(?:\.?\/)+/, '');
    if (paths.has(path)) return path;
    const candidates = stems.get(path) ?? [];
    if (candidates.length < 2) return candidates[0];
    throw wrong(name, line, `could mean ${candidates.join(' or ')}`, 'write the name with its ending');
  };
}

function requireMatches(
  labels: ReadonlyMap<string, { label: string }>,
  missing: readonly string[],
  images: readonly { readonly path: string }[],
  name: string,
): void {
  if (labels.size === 0) {
    const example = missing.length === 0 ? 'it has no line' : `for example "${missing[0]}"`;
    throw new RondoError('invalid-argument', `${name} names no image of the folder: ${example}`, {
      remedy: `paths begin inside the folder, as in ${images[0]!.path}`,
    });
  }
  const classes = new Set(Array.from(labels.values(), ({ label }) => label));
  if (classes.size > 1) return;
  throw new RondoError('invalid-argument', `${name} knows only one class, ${[...classes][0]}`, {
    remedy: 'the second column is the label; a classifier needs at least two',
  });
}

function wrong(name: string, line: number, fault: string, remedy: string): RondoError {
  return new RondoError('invalid-argument', `${name}, line ${line}, ${fault}`, { remedy });
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (thrown) {
    const { code, message } = RondoError.from(thrown);
    const said = code === 'not-found' ? `there is no file ${file}` : `cannot read ${file}: ${message}`;
    throw new RondoError(code, said, {
      remedy: 'give --labels a CSV file with the columns path,label',
      cause: thrown,
    });
  }
}
