import { type CsvError, type Info, parse } from 'csv-parse/sync';
import { RondoError } from '../../runtime/errors.js';

export interface CsvRow {
  /** That it begins on, from 1. */
  readonly line: number;
  readonly fields: readonly string[];
}

/**
 * Comma-separated values as RFC 4180 has them, in UTF-8; a byte order mark, blank lines and blanks around a
 * field are passed over, and a line break inside a quoted field is read as \n. Every row has as many fields
 * as the first. Throws invalid-argument that names `name` and the line.
 */
export function parseCsv(bytes: Uint8Array, name: string): CsvRow[] {
  // One kind of line break: csv-parse counts \r\n as two lines.
  const text = decodeText(bytes, name).replace(/\r\n?/g, '\n');
  let parsedLines = 0;
  try {
    const rows = parse(text, {
      trim: true,
      skip_empty_lines: true,
      record_delimiter: '\n',
      info: true,
      on_record(row, { lines }) {
        parsedLines = lines;
        return row;
      },
    }) as unknown as { record: string[]; info: Info }[];
    return rows.map(({ record, info }) => ({
      line: info.lines - record.reduce((sum, field) => sum + field.split('\n').length - 1, 0),
      fields: record,
    }));
  } catch (thrown) {
    throw describeFault(thrown as CsvError, name, text, parsedLines);
  }
}

function decodeText(bytes: Uint8Array, name: string): string {
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw new RondoError('invalid-argument', `${name} is UTF-16, not UTF-8`, { remedy: saveAsUtf8 });
  }
  const decode = (part: Uint8Array) => new TextDecoder('utf-8', { fatal: true }).decode(part);
  try {
    return decode(bytes);
  } catch {
    const line = findUndecodable(bytes, decode);
    throw new RondoError('invalid-argument', `${name}, line ${line}, is not UTF-8`, { remedy: saveAsUtf8 });
  }
}

const saveAsUtf8 =
  'save the file as UTF-8 ("CSV UTF-8" in a spreadsheet), or convert it: iconv -f WINDOWS-1252 -t UTF-8 OLD.csv > NEW.csv';

/** The first line that `decode` refuses, from 1. No UTF-8 sequence holds the byte of a line break. */
function findUndecodable(bytes: Uint8Array, decode: (part: Uint8Array) => string): number {
  let line = 1;
  for (let start = 0; start < bytes.length; line += 1) {
    const found = bytes.subarray(start).findIndex((byte) => byte === 0x0a || byte === 0x0d);
    const end = found < 0 ? bytes.length : start + found;
    try {
      decode(bytes.subarray(start, end));
    } catch {
      return line;
    }
    start = end + (bytes[end] === 0x0d && bytes[end + 1] === 0x0a ? 2 : 1);
  }
  return line;
}

/** `parsedLines`: the last line that was read as part of a whole row. */
function describeFault(error: CsvError, name: string, text: string, parsedLines: number): RondoError {
  const refuse = (line: number, fault: string, remedy: string) =>
    new RondoError('invalid-argument', `${name}, line ${line}, ${fault}`, { remedy, cause: error });
  const line = Number(error.lines);
  switch (error.code) {
    case 'CSV_RECORD_INCONSISTENT_FIELDS_LENGTH': {
      const { length } = error.record as readonly string[];
      const expected = /expect (\d+)/.exec(error.message)![1];
      return refuse(
        line,
        `has ${length} field${length === 1 ? '' : 's'}, but the first line has ${expected}`,
        'put a field that contains a comma into quotation marks',
      );
    }
    case 'CSV_QUOTE_NOT_CLOSED': {
      // An unclosed quote makes the rest of the file one field, so the error names the line where that field
      // began.
      const rest = text.split('\n').slice(parsedLines);
      const begun = parsedLines + rest.findIndex((row) => row.trim() !== '') + 1;
      return refuse(begun, 'has a quotation mark that is not closed', quoting);
    }
    case 'INVALID_OPENING_QUOTE':
      return refuse(line, 'has a quotation mark inside a plain field', quoting);
    case 'CSV_INVALID_CLOSING_QUOTE':
      return refuse(line, 'goes on after a closing quotation mark', quoting);
    default:
      return refuse(line, `cannot be read: ${error.message}`, 'write comma-separated values (RFC 4180)');
  }
}

const quoting = 'put the whole field into quotation marks, and double those inside it: "a ""b"" c"';
