import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RateSearch } from '../../../coordinator/lr-find/find-rates.js';
import { listRunNames } from '../../../coordinator/run-store/run-directory.js';
import { callProgram } from '../../support/call-program.js';
import { openRunFolder } from '../../support/run-folder.js';

const folder = openRunFolder();

const common = ['--data', 'x', '--batch-size', '8', '--micro-batch', '4', '--run-dir', folder.path];

async function call(...inputs: string[]) {
  const called = await callProgram(...inputs, ...common);
  if (called.error !== null) throw called.error;
  return called;
}

describe('coordinator lr-find', () => {
  it('prints the curve and both suggestions, and writes them down as figures and drawings', async () => {
    const { code, lines, calls } = await call('lr-find', '--steps', '40', '--workers', '2');
    expect(code).toBe(0);
    expect(lines.join('\n')).toMatch(
      /steepest descent: +\d\.\de-\d[\s\S]*a tenth of the minimum: +\d\.\de-\d/,
    );
    expect(lines.at(-1)).toBe(`drawn in ${join(folder.path, 'lr-find', 'lr-find.png')}`);
    expect(calls).toEqual(['launch 2', 'close cluster', 'close workers']);

    const out = join(folder.path, 'lr-find');
    expect(readdirSync(out).sort()).toEqual(['lr-find.json', 'lr-find.png', 'lr-find.svg']);
    const record = JSON.parse(readFileSync(join(out, 'lr-find.json'), 'utf8')) as RateSearch;
    expect(record).toMatchObject({ trainable: 'all', diverged: false, stateDigest: 'restored' });
    expect(record.points).toHaveLength(40);
    // The fake's loss falls all the way: the minimum is the last point that is looked at.
    expect(record.suggestions!.minimumTenth.step).toBe(34);
    expect(readFileSync(join(out, 'lr-find.svg'), 'utf8')).toMatch(/^<svg /);
  });

  it('leaves no run behind', async () => {
    await call('lr-find', '--steps', '20', '--out', join(folder.path, 'elsewhere'));
    expect(existsSync(join(folder.path, 'elsewhere', 'lr-find.json'))).toBe(true);
    expect(listRunNames(folder.path)).toEqual([]);
  });

  it('says the same to programs', async () => {
    const { lines } = await call('lr-find', '--steps', '30', '--json');
    const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const { kind, suggestions, steps, files } = events.at(-1)!;
    expect({ kind, steps }).toEqual({ kind: 'lr-find', steps: 30 });
    expect(suggestions).toHaveProperty('steepest.learningRate');
    expect(files).toHaveProperty('png', join(folder.path, 'lr-find', 'lr-find.png'));
  });

  it('starts from a run, and leaves its curve there', async () => {
    await call('start', '--name', 'first', '--epochs', '1', '--arch', 'resnet18');
    const { lines } = await call('lr-find', '--steps', '20', '--from', 'first', '--freeze-epochs', '0');
    expect(lines.join('\n')).toContain('starting from epoch-0000 of run first');
    const record = JSON.parse(
      readFileSync(join(folder.path, 'first', 'lr-find', 'lr-find.json'), 'utf8'),
    ) as { training: object };
    expect(record.training).toMatchObject({ arch: 'resnet18', from: 'first' });
  });

  it.each([
    [['--min-lr', '1', '--max-lr', '0.1'], '--min-lr is 1, which is not below --max-lr 0.1'],
    [['--min-lr', '-1'], 'above 0'],
    [['--steps', '1'], 'whole number from 2'],
    [['--from', 'nobody'], 'there is no run "nobody"'],
    [['--size', '7'], '--size is "7"'],
    [['--name', 'x'], "unknown option '--name'"],
  ])('refuses %j', async (inputs, message) => {
    await expect(call('lr-find', ...inputs)).rejects.toThrow(message);
    await expect(call('lr-find', ...inputs)).rejects.not.toMatchObject({ code: 'internal' });
  });

  it('says that few steps suggest nothing', async () => {
    const { lines } = await call('lr-find', '--steps', '12');
    expect(lines.join('\n')).toContain('12 steps are too few');
  });
});
