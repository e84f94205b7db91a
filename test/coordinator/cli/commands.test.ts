import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { callProgram } from '../../support/call-program.js';
import { openRunFolder } from '../../support/run-folder.js';

const folder = openRunFolder();

async function call(...inputs: string[]) {
  const called = await callProgram(...inputs, '--run-dir', folder.path);
  if (called.error !== null) throw called.error;
  return called;
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
      '  steps 0 to 5  generation 1  1 worker  attempt 1',
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

  it('lists the others too when one is of a newer version or damaged, and says why it is unreadable', async () => {
    const record = join(folder.path, 'bad', 'run.json');
    const text = readFileSync(record, 'utf8');
    try {
      for (const [damaged, reason] of [
        [text.replace('"formatVersion": 2', '"formatVersion": 3'), 'has format version 3'],
        [text.replace('"trainCount": 22', '"trainCount": "22"'), 'config.trainCount: '],
      ] as const) {
        expect(damaged).not.toBe(text);
        writeFileSync(record, damaged);
        const { lines } = await call('runs');
        expect(lines[1]!.split(/\s+/)).toEqual(['bad', 'unreadable', '–', '–', '–']);
        expect(lines[2]).toMatch(/^good +completed/);
        expect(lines.slice(3)).toEqual([expect.stringContaining(reason)]);
        await expect(call('verify-run', 'bad')).rejects.toMatchObject({
          message: expect.stringContaining(reason),
        });
      }
    } finally {
      writeFileSync(record, text);
    }
  });
});
