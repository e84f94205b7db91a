import os from 'node:os';
import { describe, expect, it } from 'vitest';
import { parseLoaderArguments } from '../../../bench/loader/arguments.js';

describe('parseLoaderArguments', () => {
  it('has as many workers as the machine has cores', () => {
    const workers = { processes: os.availableParallelism(), threads: 1 };
    expect(parseLoaderArguments([])).toMatchObject({ images: 1024, presize: 256, workers, peers: false });
  });

  it('takes workers of several threads', () => {
    const { workers } = parseLoaderArguments(['--workers', '3x2']);
    expect(workers).toEqual({ processes: 3, threads: 2 });
  });

  it.each([
    ['2x1,1x2', /one PROCESSESxTHREADS/],
    ['2', /PROCESSESxTHREADS/],
    ['0x1', /--workers/],
  ])('refuses --workers %s, with the usage', (text, message) => {
    expect(() => parseLoaderArguments(['--workers', text])).toThrow(message);
  });
});
