import { describe, expect, it } from 'vitest';
import { type CsvRow, readCsv } from '../../../coordinator/dataset/csv.js';

/** All rows of a file that comes in pieces of so many bytes. */
async function read(bytes: Uint8Array, pieceBytes = 3): Promise<CsvRow[]> {
  const pieces = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, i) =>
    bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes),
  );
  const rows = [];
  for await (const row of readCsv(pieces, 'labels.csv')) rows.push(row);
  return rows;
}

const fieldsOf = async (text: string, pieceBytes = 3) =>
  (await read(Buffer.from(text), pieceBytes)).map(({ fields }) => fields);

/** Of the file in pieces of one byte, of some, and as a whole. */
const pieceSizes = [1, 2, 3, 7, 1_000];

describe('readCsv', () => {
  it.each<[string, string, string[][]]>([
    [
      'rows',
      'a,b\nc,d\n',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    [
      'no last line break',
      'a,b\nc,d',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    [
      'Windows line breaks and a byte order mark',
      '\uFEFFa,b\r\nc,d\r\n',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    [
      'old line breaks',
      'a,b\rc,d',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    [
      'blank lines',
      '\na,b\n\n  \nc,d\n\n',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    [
      'empty fields',
      'a,\n,b\n',
      [
        ['a', ''],
        ['', 'b'],
      ],
    ],
    ['quotes', '"a, ""x""",b\n', [['a, "x"', 'b']]],
    ['line breaks in quotes', '"a\nb",c\n', [['a\nb', 'c']]],
    ['an empty quoted field', '"",""\n', [['', '']]],
    ['blanks around fields, kept in quotes', ' a , " b " \n', [['a', ' b ']]],
    ['one column', 'a\nb\n', [['a'], ['b']]],
    ['nothing', '', []],
  ])('reads %s', async (_, text, expected) => {
    for (const size of pieceSizes) expect(await fieldsOf(text, size)).toEqual(expected);
  });

  it('counts lines, those inside of fields too', async () => {
    for (const size of pieceSizes) {
      const rows = await read(Buffer.from('a,b\n\n"c\r\nd",e\nf,g\n'), size);
      expect(rows.map(({ line }) => line)).toEqual([1, 3, 5]);
    }
  });

  it.each([
    ['a,b\nc\n', /^labels\.csv, line 2, has 1 field, but the first line has 2$/],
    ['a,b\nc,d,e\n', /line 2, has 3 fields/],
    ['a,b\n"c,d\ne,f\n', /line 2, has a quotation mark that is not closed/],
    ['a,b\n"c\nd",e\n\n"f,g\nh,i\n', /line 5, has a quotation mark that is not closed/],
    ['a,b\nc,x"y"\n', /line 2, has a quotation mark/],
    ['a,b\n"c"d,e\n', /line 2, goes on after a closing quotation mark/],
  ])('refuses %j', async (text, message) => {
    for (const size of pieceSizes) {
      await expect(fieldsOf(text, size)).rejects.toMatchObject({
        code: 'invalid-argument',
        message: expect.stringMatching(message),
        remedy: expect.any(String),
      });
    }
  });

  it.each([
    ['a quoted field', '"', 'z,z\n'],
    ['a line', '', 'z,zz'],
  ])('refuses %s without an end before it has read all of it', async (_, start, more) => {
    let pieces = 0;
    function* file() {
      yield Buffer.from(`a,b\nc,d\n\n${start}`);
      for (; pieces < 1_000; pieces += 1) yield Buffer.from(more.repeat(16_384));
    }
    const rows = readCsv(file(), 'labels.csv');
    const all = (async () => {
      for await (const row of rows) expect(row.fields).toHaveLength(2);
    })();
    await expect(all).rejects.toThrow(
      /^labels\.csv, line 4, is longer than 1 MiB, or has a quotation mark that is not closed$/,
    );
    expect(pieces).toBeLessThan(30);
  });

  it('ends with what fails to be read, and stops reading when nobody asks for more', async () => {
    let ended = false;
    async function* file(fails: boolean) {
      try {
        yield Buffer.from('a,b\nc,d\n'.repeat(20_000));
        if (fails) throw new Error('the disk is gone');
        yield Buffer.from('a,b\n'.repeat(1_000_000));
      } finally {
        ended = true;
      }
    }
    const failing = (async () => {
      for await (const row of readCsv(file(true), 'labels.csv')) expect(row.fields).toHaveLength(2);
    })();
    await expect(failing).rejects.toThrow('the disk is gone');
    ended = false;
    for await (const row of readCsv(file(false), 'labels.csv')) if (row.line === 2) break;
    await expect.poll(() => ended).toBe(true);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['Latin-1', Buffer.from('a,b\nc,d\ncaf\xe9,e\n', 'latin1'), /^labels\.csv, line 3, is not UTF-8$/],
    ['Latin-1 on Windows', Buffer.from('a,b\r\n\r\ncaf\xe9,e\r\n', 'latin1'), /line 3, is not UTF-8/],
    ['a cut sequence', Buffer.from('a,b\nc,é').subarray(0, -1), /line 2, is not UTF-8/],
    ['UTF-16', Buffer.from('\uFEFFa,b\n', 'utf16le'), /^labels\.csv is UTF-16, not UTF-8$/],
  ])('refuses %s, with the line where one is wrong', async (_, bytes, message) => {
    for (const size of pieceSizes.slice(1)) {
      await expect(read(bytes, size)).rejects.toMatchObject({
        message: expect.stringMatching(message),
        remedy: expect.stringMatching(/UTF-8/),
      });
    }
  });

  it('reads back whatever was quoted', async () => {
    const rows = [
      ['a"b', 'c,d'],
      ['\n', '\n\n'],
      ['""', ' '],
      [',', '"'],
    ];
    const text = rows
      .map((row) => row.map((field) => `"${field.replaceAll('"', '""')}"`).join(','))
      .join('\n');
    expect(await fieldsOf(text)).toEqual(rows);
  });
});
