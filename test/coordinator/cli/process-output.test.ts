import { describe, expect, it } from 'vitest';
import { printError } from '../../../coordinator/cli/process-output.js';
import { RondoError } from '../../../runtime/errors.js';
import { memoryOutput } from '../../support/memory-output.js';

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
