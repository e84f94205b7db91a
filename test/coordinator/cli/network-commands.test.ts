import { describe, expect, it } from 'vitest';
import { buildProgram, translateUsageError } from '../../../coordinator/cli/program.js';
import { fakeRun } from '../../support/fake-run.js';
import { memoryOutput } from '../../support/memory-output.js';

async function call(...inputs: string[]): Promise<{ text: string; thrown: unknown }> {
  const output = memoryOutput();
  const never = new AbortController().signal;
  const program = buildProgram({
    services: fakeRun({ eager: true }).services,
    output,
    argv: ['node', 'coordinator'],
    openLifecycle: () => ({ signal: never, immediate: never, close() {} }),
    exit() {},
  });
  const thrown = await program.parseAsync(['node', 'coordinator', ...inputs]).then(
    () => null,
    (error: unknown) => translateUsageError(error),
  );
  return { text: output.text(), thrown };
}

describe('commands that use a trained network, or look at data', () => {
  it.each(['predict', 'show-batch', 'export'])(
    '%s teaches by an example and names its exit or its end',
    async (name) => {
      const { text, thrown } = await call(name, '--help');
      expect(thrown).toBeNull();
      expect(text).toContain(`\nExamples:\n  coordinator ${name} `);
      expect(text).toContain('--json');
    },
  );

  it.each([
    [['predict', 'x'], "missing required argument 'image'"],
    [['predict', 'x', 'a.jpg', '--top', '0'], 'whole number from 1 to 1000'],
    [['predict', 'x', 'a.jpg', '--batch', 'many'], 'whole number from 1 to 1024'],
    [['show-batch', '--count', '401'], 'whole number from 1 to 400'],
    [['show-batch', '--augment', 'flop'], '--augment is "flop", but must be one of none, flip, fastai'],
    [['export', 'x'], "'--format <FORMAT>' not specified"],
    [['export', 'x', '--format', 'onnx'], 'Allowed choices are saved-model, safetensors'],
  ])('%j is refused as wrong input', async (inputs, message) => {
    const { thrown } = await call(...inputs);
    expect(thrown).toMatchObject({ code: 'invalid-argument', message: expect.stringContaining(message) });
  });

  it.each([
    ['predict', 'nowhere', 'a.jpg'],
    ['export', 'nowhere', '--format', 'safetensors'],
  ])('%s says which run there is not', async (...inputs) => {
    const { thrown } = await call(...inputs, '--run-dir', 'no-runs-here');
    expect(thrown).toMatchObject({ code: 'not-found', message: expect.stringContaining('nowhere') });
  });
});
