import { describe, expect, it } from 'vitest';
import { callProgram } from '../../support/call-program.js';

describe('commands that use a trained network, or look at data', () => {
  it.each(['predict', 'show-batch', 'export'])(
    '%s teaches by an example and names its exit or its end',
    async (name) => {
      const { text, error } = await callProgram(name, '--help');
      expect(error).toBeNull();
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
    const { error } = await callProgram(...inputs);
    expect(error).toMatchObject({ code: 'invalid-argument', message: expect.stringContaining(message) });
  });

  it.each([
    ['predict', 'nowhere', 'a.jpg'],
    ['export', 'nowhere', '--format', 'safetensors'],
  ])('%s says which run there is not', async (...inputs) => {
    const { error } = await callProgram(...inputs, '--run-dir', 'no-runs-here');
    expect(error).toMatchObject({ code: 'not-found', message: expect.stringContaining('nowhere') });
  });
});
