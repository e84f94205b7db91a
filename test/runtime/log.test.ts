import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RondoError } from '../../runtime/errors.js';
import { openLog } from '../../runtime/log.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rondo-log-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function lines(file: string): Record<string, unknown>[] {
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('openLog', () => {
  it('appends one JSON object per line, at once, to a file in a new folder', () => {
    const file = join(folder, 'logs', 'coordinator.log');
    openLog({ program: 'coordinator', file, environment: {} }).info({ step: 3 }, 'committed');
    const error = new RondoError('data-loss', 'bent', { remedy: 'resume' });
    openLog({ program: 'coordinator', file, environment: {} }).error({ err: error }, 'failed');
    const [first, second] = lines(file);
    expect(first).toMatchObject({
      level: 'info',
      program: 'coordinator',
      pid: process.pid,
      step: 3,
      msg: 'committed',
    });
    expect(new Date(String(first?.time)).getTime()).not.toBeNaN();
    expect(second).toMatchObject({
      level: 'error',
      err: { code: 'data-loss', message: 'bent', remedy: 'resume' },
    });
  });

  it.each([
    [undefined, undefined, ['info', 'warn']],
    [undefined, 'warn', ['warn']],
    ['debug', 'warn', ['debug', 'info', 'warn']],
    ['WARN', undefined, ['warn']],
  ] as const)('with RONDO_LOG=%s and a default of %s writes %j', (variable, level, expected) => {
    const file = join(folder, 'log');
    const environment = variable === undefined ? {} : { RONDO_LOG: variable };
    const log = openLog({ program: 'worker', file, level, environment });
    log.debug('d');
    log.info('i');
    log.warn('w');
    expect(lines(file).map((line) => line.level)).toEqual(expected);
  });

  it('refuses a level that does not exist', () => {
    expect(() => openLog({ program: 'worker', environment: { RONDO_LOG: 'loud' } })).toThrowError(
      expect.objectContaining({ code: 'invalid-argument', remedy: expect.stringContaining('debug') }),
    );
  });
});
