import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CsvError, type Info, parse } from 'csv-parse';
import { RondoError } from '../../runtime/errors.js';

export interface CsvRow {
  /** That it begins on, from 1. */
  readonly line: number;
  readonly fields: readonly string[];
}

type Bytes = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** No table has longer ones: a quotation mark that is not closed takes in the rest of the file. */
const maxRowBytes = 2 ** 20;
const [lineFeed, carriageReturn] = [0x0a, 0x0d];

/**
 * Comma-separated values as RFC 4180 has them, in UTF-8; a byte order mark, blank lines and blanks around a
 * field are passed over, and a line break inside a quoted field is read as \n. Every row has as many fields
 * as the first. Rows are read as they are asked for. Throws invalid-argument that names `name` and the line,
 * and what `bytes` throws.
 */
export async function* readCsv(bytes: Bytes, name: string): AsyncGenerator<CsvRow, void, void> {
  /** As far as whole rows were read. */
  let parsed: Pick<Info, 'lines' | 'empty_lines'> = { lines: 0, empty_lines: 0 };
  const parser = parse({
    trim: true,
    skip_empty_lines: true,
    record_delimiter: '\n',
    max_record_size: maxRowBytes,
    on_record(fields, { lines, empty_lines }) {
      parsed = { lines, empty_lines };
      const within = fields.reduce((sum, field) => sum + field.split('\n').length - 1, 0);
      const row: CsvRow = { line: lines - within, fields };
      // Its types know no other rows than fields, unless columns have names.
      return row as unknown as string[];
    },
  });
  // What fails here fails in the loop below.
  pipeline(Readable.from(decodeLines(bytes, name)), parser).catch(() => {});
  try {
    for await (const row of parser) yield row as CsvRow;
  } catch (thrown) {
    throw thrown instanceof CsvError ? describeFault(thrown, name, parsed) : thrown;
  }
}

/** The text in pieces of whole lines, which all end with \n: csv-parse counts \r\n as two line breaks. */
async function* decodeLines(bytes: Bytes, name: string): AsyncGenerator<string, void, void> {
  let line = 1;
  const decode = (whole: Uint8Array): string => {
    const text = decodeText(whole, name, line).replace(/\r\n?/g, '\n');
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) line += 1;
    return text;
  };
  /** Of a line whose end has not come yet. */
  let begun = Buffer.alloc(0);
  for await (const chunk of bytes) {
    const read = Buffer.concat([begun, chunk]);
    // The last byte may be the first of \r\n.
    const end = Math.max(read.lastIndexOf(lineFeed), read.lastIndexOf(carriageReturn, -2)) + 1;
    if (end > 0) yield decode(read.subarray(0, end));
    begun = read.subarray(end);
    if (begun.length > maxRowBytes) throw refuse(name, line, tooLong, quoting);
  }
  if (begun.length > 0) yield decode(begun);
}

/** No UTF-8 sequence holds the byte of a line break, so that lines can be decoded by themselves. */
function decodeText(bytes: Uint8Array, name: string, firstLine: number): string {
  const [first, second] = bytes;
  if (firstLine === 1 && ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))) {
    throw new RondoError('invalid-argument', `${name} is UTF-16, not UTF-8`, { remedy: saveAsUtf8 });
  }
  const decode = (part: Uint8Array) =>
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: firstLine > 1 }).decode(part);
  try {
    return decode(bytes);
  } catch {
    throw refuse(name, firstLine + findUndecodable(bytes, decode), 'is not UTF-8', saveAsUtf8);
  }
}

const saveAsUtf8 =
  'save the file as UTF-8 ("CSV UTF-8" in a spreadsheet), or convert it: iconv -f WINDOWS-1252 -t UTF-8 OLD.csv > NEW.csv';

/** The first line that `decode` refuses, from 0. */
function findUndecodable(bytes: Uint8Array, decode: (part: Uint8Array) => string): number {
  let line = 0;
  for (let start = 0; start < bytes.length; line += 1) {
    const found = bytes.subarray(start).findIndex((byte) => byte === lineFeed || byte === carriageReturn);
    const end = found < 0 ? bytes.length : start + found;
    try {
      decode(bytes.subarray(start, end));
    } catch {
      return line;
    }
    start = end + (bytes[end] === carriageReturn && bytes[end + 1] === lineFeed ? 2 : 1);
  }
  return line;
}

function describeFault(
  error: CsvError,
  name: string,
  parsed: Pick<Info, 'lines' | 'empty_lines'>,
): RondoError {
  const line = Number(error.lines);
  /** Of the row that could not be read; csv-parse is where it gave up, which may be the end of the file. */
  const begun = parsed.lines + Number(error.empty_lines) - parsed.empty_lines + 1;
  switch (error.code) {
    case 'CSV_RECORD_INCONSISTENT_FIELDS_LENGTH': {
      const { length } = error.record as readonly string[];
      const expected = /expect (\d+)/.exec(error.message)![1];
      const fault = `has ${length} field${length === 1 ? '' : 's'}, but the first line has ${expected}`;
      return refuse(name, line, fault, 'put a field that contains a comma into quotation marks', error);
    }
    case 'CSV_QUOTE_NOT_CLOSED':
      return refuse(name, begun, 'has a quotation mark that is not closed', quoting, error);
    case 'CSV_MAX_RECORD_SIZE':
      return refuse(name, begun, tooLong, quoting, error);
    case 'INVALID_OPENING_QUOTE':
      return refuse(name, line, 'has a quotation mark inside a plain field', quoting, error);
    case 'CSV_INVALID_CLOSING_QUOTE':
      return refuse(name, line, 'goes on after a closing quotation mark', quoting, error);
    default: {
      const fault = `cannot be read: ${error.message}`;
      return refuse(name, line, fault, 'write comma-separated values (RFC 4180)', error);
    }
  }
}

const tooLong = 'is longer than 1 MiB, or has a quotation mark that is not closed';
const quoting = 'put the whole field into quotation marks, and double those inside it: "a ""b"" c"';

function refuse(name: string, line: number, fault: string, remedy: string, cause?: Error): RondoError {
  return new RondoError('invalid-argument', `${name}, line ${line}, ${fault}`, { remedy, cause });
}
