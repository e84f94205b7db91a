import { RondoError } from '../../runtime/errors.js';
import type { CsvRow } from './csv.js';

/** The sets that images are divided into before training; those of a test set take no part in it. */
export type SetName = 'train' | 'valid' | 'test';

/** What folders and the values of a column are called that hold a set; in lower case, without `setSuffix`. */
const setNames = new Map<string, SetName>([
  ['train', 'train'],
  ['training', 'train'],
  ['valid', 'valid'],
  ['val', 'valid'],
  ['validation', 'valid'],
  ['dev', 'valid'],
  ['test', 'test'],
  ['testing', 'test'],
]);

/** As in train2017, test_set, "Validation images". */
const setSuffix = /[\s_-]*(\d+|set|data|images?|imgs?)$/;

/** fastai's `is_valid`, and its like: true for validation. */
const flagColumns = new Set(['is_valid', 'is_val', 'is_validation']);
const flags = new Map<string, SetName>([
  ...['true', 'yes', '1', '1.0'].map((text) => [text, 'valid'] as const),
  ...['false', 'no', '0', '0.0', ''].map((text) => [text, 'train'] as const),
]);

/** Columns that name the set. */
const splitColumns = new Set(['split', 'set', 'subset', 'partition', 'phase']);

export interface SetColumn {
  readonly name: string;
  readonly index: number;
  setOf(row: CsvRow): SetName;
}

/** The set that a folder or a value names: train for "Training" and "train2017". */
export function readSetName(text: string): SetName | undefined {
  return setNames.get(text.toLowerCase().replace(setSuffix, ''));
}

/**
 * The column of a table of labels that says which images validate: `is_valid` or `split`, by the header,
 * behind path and label. A split column of which no value names a set is about something else. Throws
 * invalid-argument, with the line, for a value that names no set among others that do, and for such a column
 * in the label's place.
 */
export function findSetColumn(
  header: CsvRow | null,
  rows: readonly CsvRow[],
  fileName: string,
): SetColumn | null {
  for (const [index, name] of (header?.fields ?? []).entries()) {
    const isFlag = flagColumns.has(name.toLowerCase());
    if (!isFlag && !splitColumns.has(name.toLowerCase())) continue;
    const read = (row: CsvRow): SetName | undefined => {
      const value = row.fields[index]!;
      return isFlag ? flags.get(value.toLowerCase()) : readSetName(value);
    };
    if (!isFlag && !rows.some((row) => read(row) !== undefined)) continue;
    if (index < 2) {
      throw new RondoError(
        'invalid-argument',
        `${fileName}, line ${header!.line}, has the column ${name} where the ${index === 0 ? 'path' : 'label'} should be`,
        { remedy: 'the first two columns are the path and the label; is_valid or split follow them' },
      );
    }
    const wrong = rows.find((row) => read(row) === undefined);
    if (wrong !== undefined) {
      throw new RondoError(
        'invalid-argument',
        `${fileName}, line ${wrong.line}, has "${wrong.fields[index]}" in the column ${name}`,
        { remedy: isFlag ? 'write true or false' : 'write train, valid or test' },
      );
    }
    return { name, index, setOf: (row) => read(row)! };
  }
  return null;
}
