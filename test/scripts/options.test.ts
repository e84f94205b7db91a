import { describe, expect, it } from 'vitest';
import { loadScript } from './load-script.js';

const { help, parseOptions } = await loadScript<{
  help: string;
  parseOptions(args: string[]): Record<string, unknown>;
}>('options.mjs');

describe('parseOptions', () => {
  it.each([
    [[], { help: false, variant: undefined, wheel: undefined, libtensorflow: undefined }],
    [['--gpu'], { variant: 'gpu' }],
    [['--cpu', '--wheel', 'x.whl'], { variant: 'cpu', wheel: 'x.whl' }],
    [['--libtensorflow=dir'], { libtensorflow: 'dir' }],
    [['-h'], { help: true }],
  ])('%j', (args, expected) => {
    expect(parseOptions(args)).toMatchObject(expected);
  });

  it.each([[['--cpu', '--gpu']], [['--wheel']], [['--unknown']], [['stray']]])('refuses %j', (args) => {
    expect(() => parseOptions(args)).toThrow();
  });

  it('explains every option that it takes', () => {
    for (const name of ['--cpu', '--gpu', '--wheel', '--libtensorflow', '--help'])
      expect(help).toContain(name);
  });
});
