import { describe, expect, it } from 'vitest';
import { startOptions } from '../../../coordinator/cli/command-options.js';
import { buildProgram, translateUsageError } from '../../../coordinator/cli/program.js';
import { startOptionNames } from '../../../coordinator/options/start-schema.js';
import { RondoError } from '../../../runtime/errors.js';
import { fakeRun } from '../../support/fake-run.js';
import { memoryOutput } from '../../support/memory-output.js';

async function call(...inputs: string[]): Promise<{ text: string; error: unknown; code: number | null }> {
  const output = memoryOutput();
  let code: number | null = null;
  const program = buildProgram({
    services: fakeRun().services,
    output,
    argv: [],
    openLifecycle: () => {
      throw new Error('nothing may start here');
    },
    exit: (value) => {
      code = value;
    },
  });
  try {
    await program.parseAsync(['node', 'coordinator', ...inputs]);
    return { text: output.text(), error: null, code };
  } catch (thrown) {
    return { text: output.text(), error: translateUsageError(thrown), code };
  }
}

describe('start --help', () => {
  it('explains every option in a group, with its default', async () => {
    const { text, error } = await call('start', '--help');
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
    const { error } = await call(...inputs);
    expect(error).toBeInstanceOf(RondoError);
    expect(error).toMatchObject({ exitCode: 2, message: expect.stringContaining(message) });
  });

  it('checks values before anything starts', async () => {
    const { error } = await call('start', '--workers', 'many');
    expect(error).toMatchObject({ exitCode: 2, message: expect.stringContaining('--workers is "many"') });
  });
});
