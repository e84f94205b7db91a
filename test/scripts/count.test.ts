import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../.ci/count.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'rondo-count-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const passed = { status: 'passed' };
const failed = { status: 'failed' };
const good = { status: 'passed', assertionResults: [passed, passed] };
const bad = { status: 'failed', assertionResults: [passed, failed] };
const unloadable = { status: 'failed', assertionResults: [] };

function count(report: unknown, checksFailed: number) {
  const file = join(folder, 'report.json');
  writeFileSync(file, typeof report === 'string' ? report : JSON.stringify(report));
  const { stdout, status } = spawnSync(process.execPath, [script, file, String(checksFailed)], {
    encoding: 'utf8',
  });
  return [stdout, status];
}

describe('the last line of the whole check', () => {
  const report = (
    numPassedTests: number,
    numFailedTests: number,
    testResults: object[],
    success: boolean,
  ) => ({
    numPassedTests,
    numFailedTests,
    testResults,
    success,
  });

  it.each([
    ['all passed', report(2, 0, [good], true), 0, '2 passed, 0 failed\n', 0],
    ['a test failed', report(3, 1, [good, bad], false), 0, '3 passed, 1 failed\n', 1],
    ['a check failed', report(2, 0, [good], true), 1, '2 passed, 1 failed\n', 1],
    ['a file cannot be loaded', report(2, 0, [good, unloadable], false), 0, '2 passed, 1 failed\n', 1],
    ['all of that', report(3, 1, [good, bad, unloadable], false), 1, '3 passed, 3 failed\n', 1],
    ['an error outside the tests', report(2, 0, [good], false), 0, '2 passed, 1 failed\n', 1],
    ['no test ran', report(0, 0, [], true), 0, '0 passed, 0 failed\n', 1],
    ['the tests were cut short', '{"numPassed', 0, '0 passed, 1 failed\n', 1],
  ])('%s', (_, results, checksFailed, line, code) => {
    expect(count(results, checksFailed)).toEqual([line, code]);
  });
});
