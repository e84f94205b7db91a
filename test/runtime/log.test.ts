import { afterEach, describe, expect, it } from 'vitest';
import { addLogFields, isLogged, log, openLog } from '../../runtime/log.js';
import { printable } from '../../runtime/printable.js';

function open(level: string | undefined): string[] {
  const lines: string[] = [];
  const environment = level === undefined ? {} : { RONDO_LOG: level };
  openLog({ program: 'worker', environment, write: (line) => lines.push(line) });
  return lines;
}

const read = (lines: readonly string[]) => lines.map((line) => JSON.parse(line) as Record<string, unknown>);

describe('log', () => {
  afterEach(() => void open(undefined));

  it('writes one JSON object a line, with what is known of the process', () => {
    const lines = open('info');
    log('info', 'register', { host: 'here' });
    addLogFields({ run: 'first-try', rank: 1 });
    addLogFields({ rank: 0, generation: 2 });
    log('error', 'failed', { code: 'data-loss', message: 'bent' });
    expect(lines.every((line) => line.endsWith('}\n') && line.split('\n').length === 2)).toBe(true);
    const [first, second] = read(lines);
    expect(first).toEqual({
      ...{ level: 'info', time: expect.any(String), program: 'worker', pid: process.pid },
      ...{ event: 'register', host: 'here' },
    });
    expect(new Date(String(first!.time)).getTime()).not.toBeNaN();
    expect(second).toMatchObject({
      ...{ level: 'error', run: 'first-try', rank: 0, generation: 2, event: 'failed', code: 'data-loss' },
    });
    expect(lines[1]!.match(/"rank"/g)).toHaveLength(1);
  });

  it.each([
    [undefined, []],
    ['', []],
    ['silent', []],
    ['WARN', ['warn', 'error']],
    ['debug', ['debug', 'info', 'warn', 'error']],
  ] as const)('with RONDO_LOG=%s writes %j', (variable, expected) => {
    const lines = open(variable);
    for (const level of ['trace', 'debug', 'info', 'warn', 'error'] as const) log(level, 'step');
    expect(read(lines).map(({ level }) => level)).toEqual(expected);
    expect(isLogged('debug')).toBe(variable === 'debug');
  });

  it('holds nothing that a terminal would obey', () => {
    const lines = open('info');
    const text = 'a\u009b31m\u2028b\u001b[2J';
    log('info', 'note', { text });
    expect(lines[0]).toBe(`${printable(lines[0]!.trimEnd())}\n`);
    expect(read(lines)[0]).toMatchObject({ text });
  });

  it('refuses a level that does not exist', () => {
    expect(() => open('loud')).toThrow(
      expect.objectContaining({
        code: 'invalid-argument',
        message: 'RONDO_LOG is "loud", which is not a log level',
        remedy: expect.stringContaining('debug'),
      }),
    );
  });
});
