import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { printError } from '../../../coordinator/cli/process-output.js';
import { buildProgram } from '../../../coordinator/cli/program.js';
import { programName } from '../../../coordinator/cli/start.js';
import { RondoError } from '../../../runtime/errors.js';
import { fakeRun } from '../../support/fake-run.js';
import { memoryOutput } from '../../support/memory-output.js';
import { openRunFolder } from '../../support/run-folder.js';

const folder = openRunFolder();

async function call(...inputs: string[]): Promise<{ code: number | null; lines: string[] }> {
  const output = memoryOutput();
  let code: number | null = null;
  const never = new AbortController().signal;
  const program = buildProgram({
    services: fakeRun({ eager: true }).services,
    output,
    argv: ['node', 'coordinator'],
    openLifecycle: () => ({ signal: never, immediate: never, close() {} }),
    exit: (value) => {
      code = value;
    },
  });
  await program.parseAsync(['node', 'coordinator', ...inputs, '--run-dir', folder.path]);
  return { code, lines: output.lines() };
}

beforeAll(async () => {
  const options = ['--data', 'x', '--batch-size', '8', '--micro-batch', '4', '--epochs', '2'];
  for (const name of ['good', 'bad']) await call('start', ...options, '--name', name);
  const ledger = join(folder.path, 'bad', 'ledger.jsonl');
  const lines = readFileSync(ledger, 'utf8').split('\n');
  const second = lines.findIndex((line) => line.includes('"step":1,'));
  writeFileSync(ledger, lines.toSpliced(second, 1).join('\n'));
});

describe('verify-run', () => {
  it('says what is proven, and exits with 0', async () => {
    const { code, lines } = await call('verify-run', 'good');
    expect(code).toBe(0);
    expect(lines).toEqual([
      'good: each sample is used exactly once in 2 whole epochs; 6 steps (44 samples) as planned, world size 1; the images were not verified: there is no folder /nowhere; if they have moved: --data DIR',
    ]);
  });

  it('says the first difference, and exits with 1', async () => {
    const { code, lines } = await call('verify-run', 'bad');
    expect(code).toBe(1);
    expect(lines).toEqual(['bad, ledger line 3: step 1 is missing: step 2 stands in its place']);
  });

  it('speaks JSON', async () => {
    const { code, lines } = await call('verify-run', 'bad', '--json');
    expect(code).toBe(1);
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({ kind: 'verdict', ok: false, line: 3 }),
    ]);
  });

  it('does not find what is not there', async () => {
    await expect(call('verify-run', 'god')).rejects.toMatchObject({
      exitCode: 2,
      remedy: 'did you mean good?',
    });
  });
});

describe('runs', () => {
  it('lists runs with their status', async () => {
    const { lines } = await call('runs');
    expect(lines.map((line) => line.split(/\s+/))).toEqual([
      ['run', 'status', 'arch', 'steps', 'error_rate'],
      ['bad', 'completed', 'resnet34', '6', '0.400000'],
      ['good', 'completed', 'resnet34', '6', '0.400000'],
    ]);
    const json = await call('runs', '--json');
    expect(json.lines.map((line) => JSON.parse(line).run)).toEqual(['bad', 'good']);
  });
});

describe('printError', () => {
  const error = new RondoError('invalid-argument', 'no such thing', { remedy: 'take\nanother' });

  it.each([
    [{ json: false, debug: false }, '', 'error: no such thing\n  take\n  another\n'],
    [
      { json: true, debug: false },
      '{"kind":"error","code":"invalid-argument","message":"no such thing","remedy":"take\\nanother"}\n',
      'error: no such thing\n  take\n  another\n',
    ],
  ])('%j', (mode, expectedOut, expectedErr) => {
    const [stdout, stderr] = [memoryOutput(), memoryOutput()];
    expect(printError(error, mode, { stdout, stderr })).toBe(2);
    expect([stdout.text(), stderr.text()]).toEqual([expectedOut, expectedErr]);
  });

  it('shows the stack, and that of the cause, only when asked', () => {
    const stderr = memoryOutput();
    const caused = new RondoError('internal', 'outer', { cause: new Error('inner') });
    expect(printError(caused, { json: false, debug: true }, { stdout: memoryOutput(), stderr })).toBe(1);
    expect(stderr.text()).toMatch(/RondoError: outer\n\s+at [\s\S]*caused by Error: inner\n\s+at /);
  });
});

it('names the program as the person can call it', () => {
  expect(programName(['node', '/usr/bin/coordinator'])).toBe('coordinator');
  expect(programName(['node', join(process.cwd(), 'dist/coordinator/main.js')])).toBe(
    'node dist/coordinator/main.js',
  );
  expect(programName(['node', '/elsewhere/main.js'])).toBe('node /elsewhere/main.js');
});
