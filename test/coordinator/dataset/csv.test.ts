import { describe, expect, it } from 'vitest';
import { parseCsv } from '../../../coordinator/dataset/csv.js';

const fieldsOf = (text: string) => parseCsv(Buffer.from(text), 'labels.csv').map(({ fields }) => fields);

describe('parseCsv', () => {
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
  ])('reads %s', (_, text, expected) => {
    expect(fieldsOf(text)).toEqual(expected);
  });

  it('counts lines, those inside of fields too', () => {
    const rows = parseCsv(Buffer.from('a,b\n\n"c\r\nd",e\nf,g\n'), 'labels.csv');
    expect(rows.map(({ line }) => line)).toEqual([1, 3, 5]);
  });

  it.each([
    ['a,b\nc\n', /^labels\.csv, line 2, has 1 field, but the first line has 2$/],
    ['a,b\nc,d,e\n', /line 2, has 3 fields/],
    ['a,b\n"c,d\ne,f\n', /line 2, has a quotation mark that is not closed/],
    ['a,b\n"c\nd",e\n\n"f,g\nh,i\n', /line 5, has a quotation mark that is not closed/],
    ['a,b\nc,x"y"\n', /line 2, has a quotation mark/],
    ['a,b\n"c"d,e\n', /line 2, goes on after a closing quotation mark/],
  ])('refuses %j', (text, message) => {
    expect(() => fieldsOf(text)).toThrow(message);
    expect(() => fieldsOf(text)).toThrow(
      expect.objectContaining({ code: 'invalid-argument', remedy: expect.any(String) }),
    );
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['Latin-1', Buffer.from('a,b\nc,d\ncaf\xe9,e\n', 'latin1'), /^labels\.csv, line 3, is not UTF-8$/],
    ['Latin-1 on Windows', Buffer.from('a,b\r\n\r\ncaf\xe9,e\r\n', 'latin1'), /line 3, is not UTF-8/],
    ['a cut sequence', Buffer.from('a,b\nc,é').subarray(0, -1), /line 2, is not UTF-8/],
    ['UTF-16', Buffer.from('\uFEFFa,b\n', 'utf16le'), /^labels\.csv is UTF-16, not UTF-8$/],
  ])('refuses %s, with the line where one is wrong', (_, bytes, message) => {
    expect(() => parseCsv(bytes, 'labels.csv')).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(message),
        remedy: expect.stringMatching(/UTF-8/),
      }),
    );
  });

  it('reads back whatever was quoted', () => {
    const rows = [
      ['a"b', 'c,d'],
      ['\n', '\n\n'],
      ['""', ' '],
      [',', '"'],
    ];
    const text = rows
      .map((row) => row.map((field) => `"${field.replaceAll('"', '""')}"`).join(','))
      .join('\n');
    expect(fieldsOf(text)).toEqual(rows);
  });
});
