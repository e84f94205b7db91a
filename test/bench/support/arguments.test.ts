import { describe, expect, it } from 'vitest';
import { HelpRequest, readArguments } from '../../../bench/support/arguments.js';

const usage = 'Usage: something [--side 4] [--quick]';
const options = {
  side: { type: 'string', default: '4' },
  quick: { type: 'boolean', default: false },
} as const;
const read = (...args: string[]) => readArguments(usage, args, options, (values) => values);

describe('readArguments', () => {
  it('gives what was said, and defaults', () => {
    expect(read('--quick')).toEqual({ side: '4', quick: true });
    expect(read('--side', '5')).toEqual({ side: '5', quick: false });
  });

  it.each(['--help', '-h'])('asks for the usage instead: %s', (help) => {
    expect(() => read('--side', '5', help)).toThrow(HelpRequest);
    expect(() => read(help)).toThrow(expect.objectContaining({ usage }));
  });

  it('names the usage as the remedy for an option that there is not, and for a value that is refused', () => {
    const refusal = expect.objectContaining({ code: 'invalid-argument', remedy: usage });
    expect(() => read('--width', '5')).toThrow(refusal);
    const refuse = () => {
      throw new Error('--side is odd.');
    };
    expect(() => readArguments(usage, [], options, refuse)).toThrow(refusal);
  });
});
