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

/** A column that may say which images validate: decided when all of its values were seen. */
export interface SetColumn {
  readonly name: string;
  readonly index: number;
  /** The set that a row puts its image into; undefined when the value names none. */
  read(row: CsvRow): SetName | undefined;
  /**
   * Whether it is about sets: always for `is_valid` and its like; of a split column at least one value must
   * name one. Throws invalid-argument, with the line, when it is, and stands in the place of path or label,
   * or another value names no set.
   */
  isOfSets(): boolean;
}

/** The set that a folder or a value names: train for "Training" and "train2017". */
export function readSetName(text: string): SetName | undefined {
  return setNames.get(text.toLowerCase().replace(setSuffix, ''));
}

/** The columns that may say which images validate, by the header of a table of labels. */
export function findSetColumns(header: CsvRow | null, fileName: string): SetColumn[] {
  return (header?.fields ?? []).flatMap((name, index) => {
    const isFlag = flagColumns.has(name.toLowerCase());
    if (!isFlag && !splitColumns.has(name.toLowerCase())) return [];
    return openColumn(name, index, isFlag, header!.line, fileName);
  });
}

function openColumn(
  name: string,
  index: number,
  isFlag: boolean,
  headerLine: number,
  fileName: string,
): SetColumn {
  let named = isFlag;
  let wrong: CsvRow | null = null;
  return {
    name,
    index,
    read(row) {
      const value = row.fields[index]!;
      const set = isFlag ? flags.get(value.toLowerCase()) : readSetName(value);
      if (set === undefined) wrong ??= row;
      else named = true;
      return set;
    },
    isOfSets() {
      if (!named) return false;
      if (index < 2) {
        const place = index === 0 ? 'path' : 'label';
        throw new RondoError(
          'invalid-argument',
          `${fileName}, line ${headerLine}, has the column ${name} where the ${place} should be`,
          { remedy: 'the first two columns are the path and the label; is_valid or split follow them' },
        );
      }
      if (wrong === null) return true;
      throw new RondoError(
        'invalid-argument',
        `${fileName}, line ${wrong.line}, has "${wrong.fields[index]}" in the column ${name}`,
        { remedy: isFlag ? 'write true or false' : 'write train, valid or test' },
      );
    },
  };
}
