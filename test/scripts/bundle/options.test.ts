import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadScript } from '../load-script.js';

const { help, parseOptions } = await loadScript<{
  help: string;
  parseOptions(args: string[]): Record<string, unknown>;
}>('bundle/options.mjs');

describe('parseOptions', () => {
  it.each([
    [[], { gpu: null, cuda: 'bundled', pieceBytes: 2 ** 30, fast: false, wheel: undefined }],
    [['--gpu', 'sm_90'], { gpu: 90, cuda: 'bundled' }],
    [['--gpu', 'sm_120', '--cuda', 'host'], { gpu: 120, cuda: 'host' }],
    [['--piece-size', '58MiB'], { pieceBytes: 58 * 2 ** 20 }],
    [['--piece-size', '1.5GB', '--fast'], { pieceBytes: 1.5e9, fast: true }],
    [['--wheel', 'x.whl'], { wheel: 'x.whl' }],
  ])('%j', (args, expected) => {
    expect(parseOptions(['--out', 'bundle', ...args])).toMatchObject({ out: resolve('bundle'), ...expected });
  });

  it.each([
    [[], '--out is missing'],
    [['--out', 'x', '--gpu', 'H100'], '"H100", but must be a GPU generation such as sm_90'],
    [['--out', 'x', '--gpu', 'sm_9'], 'such as sm_90'],
    [['--out', 'x', '--cuda', 'host'], 'give --gpu sm_NN too'],
    [['--out', 'x', '--gpu', 'sm_90', '--cuda', 'mine'], '"bundled" or "host", not "mine"'],
    [['--out', 'x', '--piece-size', '58'], 'must be a size of at least 1MB'],
    [['--out', 'x', '--piece-size', '10KB'], 'must be a size of at least 1MB'],
    [['--out', 'x', '--piece-size', '0.5MB'], 'must be a size of at least 1MB'],
    [['--out', 'x', 'stray'], 'stray'],
    [['--unknown'], '--unknown'],
  ])('refuses %j', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });

  it('needs no folder to explain every option that it takes', () => {
    expect(parseOptions(['--help'])).toMatchObject({ help: true });
    for (const name of ['--out', '--gpu', '--cuda', '--piece-size', '--fast', '--wheel', '--help']) {
      expect(help).toContain(name);
    }
  });
});
