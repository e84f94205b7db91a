import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseJson } from '../../runtime/parse-json.js';

const schema = z.object({ name: z.string(), steps: z.array(z.object({ loss: z.number().nullable() })) });
const source = { name: 'runs/a/file.jsonl', line: 7, formatVersion: 2 };

describe('parseJson', () => {
  it('gives what the schema names', () => {
    const text = '{"name":"a","steps":[{"loss":null,"more":1}],"formatVersion":2,"later":true}';
    expect(parseJson(schema, text, source)).toEqual({ name: 'a', steps: [{ loss: null }] });
  });

  it.each([
    ['{"name":"a","ste', 'runs/a/file.jsonl, line 7, is not JSON'],
    ['', 'runs/a/file.jsonl, line 7, is not JSON'],
    ['{"name":"a"}', /^runs\/a\/file\.jsonl, line 7: steps: .*expected array/],
    ['{"name":"a","steps":[{"loss":1},{"loss":"1"}]}', /line 7: steps\.1\.loss: .*expected number/],
    ['null', /line 7: .*expected object/],
    ['{"name":"a","steps":[],"formatVersion":"3"}', null],
  ])('names the source, the line and the field of %s', (text, message) => {
    if (message === null) expect(parseJson(schema, text, source)).toEqual({ name: 'a', steps: [] });
    else {
      const remedy = 'the file was changed after it was written; restore it from a copy';
      const expected = typeof message === 'string' ? message : expect.stringMatching(message);
      expect(() => parseJson(schema, text, source)).toThrow(
        expect.objectContaining({ name: 'RondoError', code: 'data-loss', message: expected, remedy }),
      );
    }
  });

  it('refuses a newer format version before it looks at the fields, and says what helps', () => {
    expect(() => parseJson(schema, '{"formatVersion":3}', { name: 'run.json', formatVersion: 2 })).toThrow(
      expect.objectContaining({
        code: 'failed-precondition',
        message: expect.stringMatching(/^run\.json has format version 3; .*reads up to 2$/),
        remedy: expect.stringContaining('later'),
      }),
    );
  });

  it('takes the code and the remedy of its caller', () => {
    const other = { name: 'the answer', code: 'internal', remedy: 'ask again' } as const;
    expect(() => parseJson(schema, '[]', other)).toThrow(
      expect.objectContaining({ code: 'internal', remedy: 'ask again' }),
    );
  });
});
