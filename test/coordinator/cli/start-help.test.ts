import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startOptions } from '../../../coordinator/cli/command-options.js';
import { programName } from '../../../coordinator/cli/start.js';
import { startOptionNames } from '../../../coordinator/options/start-schema.js';
import { RondoError } from '../../../runtime/errors.js';
import { callProgram } from '../../support/call-program.js';

describe('start --help', () => {
  it('explains every option in a group, with its default', async () => {
    const { text, error } = await callProgram('start', '--help');
    expect(error).toBeNull();
    for (const name of [...startOptionNames, 'config']) expect(text).toContain(`--${name}`);
    for (const group of ['Data:', 'Network:', 'Recipe:', 'Workers and addresses:', 'Run and output:']) {
      expect(text).toContain(group);
    }
    expect(text).toContain('Examples:');
    expect(text).toContain('RONDO_CACHE ');
    const unwrapped = text.replace(/\s+/g, ' ');
    expect(unwrapped).toContain("--size <PIXELS> side of the network's input (default: 224; sample: 48)");
    expect(unwrapped).toMatch(/--cache-gib <GIB> .* 0 keeps none \(default: RONDO_CACHE_GIB, else 20\)/);
    expect(unwrapped).toContain('pets, which is Oxford-IIIT Pet, fetched once (792 MB)');
    expect(unwrapped).toContain('--pretrained <FILE|imagenet|none>');
    expect(unwrapped).toMatch(/Images are files that end in \.jpg, .* of at most 250 megapixels each/);
    expect(text).toContain('coordinator start --workers 4');
    for (const option of startOptions()) expect(option.description.length).toBeGreaterThan(10);
  });
});

describe('wrong usage', () => {
  it.each([
    [['start', '--wokers', '3'], '(Did you mean --workers?)'],
    [['start', '--workers'], "'--workers <N>' argument missing"],
    [['start', 'photos'], 'too many arguments'],
    [['sart'], "unknown command 'sart'"],
    [['verify-run'], "missing required argument 'RUN'"],
  ])('%j exits with 2', async (inputs, message) => {
    const { error, calls } = await callProgram(...inputs);
    expect(calls).toEqual([]);
    expect(error).toBeInstanceOf(RondoError);
    expect(error).toMatchObject({ exitCode: 2, message: expect.stringContaining(message) });
  });

  it('checks values before anything starts', async () => {
    const { error, calls } = await callProgram('start', '--workers', 'many');
    expect(calls).toEqual([]);
    expect(error).toMatchObject({ exitCode: 2, message: expect.stringContaining('--workers is "many"') });
  });
});

it('names the program as the person can call it', () => {
  expect(programName(['node', '/usr/bin/coordinator'])).toBe('coordinator');
  expect(programName(['node', join(process.cwd(), 'dist/coordinator/main.js')])).toBe(
    'node dist/coordinator/main.js',
  );
  expect(programName(['node', '/elsewhere/main.js'])).toBe('node /elsewhere/main.js');
});
