import { RondoError } from '../../runtime/errors.js';

export interface CsvRow {
  /** That it begins on, from 1. */
  readonly line: number;
  readonly fields: readonly string[];
}

/** A field: quoted (with doubled quotes inside, and line breaks), or plain; then what ends it. */
const quoted = /"((?:[^"]|"")*)"/y;
const plain = /[^",\r\n]*/y;
const ending = /,|\r\n|\n|\r|$/y;

/**
 * Comma-separated values as RFC 4180 has them; a byte order mark, blank lines and blanks around a field are passed over.
 * Every row has as many fields as the first. Throws invalid-argument that names `name` and the line.
 */
export function parseCsv(text: string, name: string): CsvRow[] {
  const source = text.replace(/^\uFEFF/, '');
  const rows: CsvRow[] = [];
  let [at, line] = [0, 1];
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(source);
    if (found !== null) at += found[0].length;
    return found;
  };
  while (at < source.length) {
    const row: CsvRow = { line, fields: [] };
    const fields: string[] = [];
    for (let end = ','; end === ','; ) {
      match(/[ \t]*/y);
      const inQuotes = match(quoted);
      fields.push(inQuotes === null ? match(plain)![0].trim() : inQuotes[1]!.replaceAll('""', '"'));
      line += inQuotes?.[0].match(/\r\n|\n|\r/g)?.length ?? 0;
      match(/[ \t]*/y);
      const ended = match(ending);
      if (ended === null) throw misquoted(name, line, source[at] === '"' && inQuotes === null);
      end = ended[0];
    }
    line += 1;
    if (fields.length === 1 && fields[0] === '') continue;
    const expected = rows[0]?.fields.length ?? fields.length;
    if (fields.length !== expected) throw uneven(name, row.line, fields.length, expected);
    rows.push({ ...row, fields });
  }
  return rows;
}

function misquoted(name: string, line: number, open: boolean): RondoError {
  const fault = open
    ? 'has a quotation mark that is not closed or stands inside a plain field'
    : 'goes on after a closing quotation mark';
  return new RondoError('invalid-argument', `${name}, line ${line}, ${fault}`, {
    remedy: 'put the whole field into quotation marks, and double those inside it: "a ""b"" c"',
  });
}

function uneven(name: string, line: number, count: number, expected: number): RondoError {
  return new RondoError(
    'invalid-argument',
    `${name}, line ${line}, has ${count} field${count === 1 ? '' : 's'}, but the first line has ${expected}`,
    { remedy: 'put a field that contains a comma into quotation marks' },
  );
}
