import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadScript } from '../load-script.js';

interface Locked {
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

const { needsAtRunTime } = await loadScript<{
  needsAtRunTime(packages: Record<string, Locked>, apart: readonly string[]): string[];
}>('bundle/production-packages.mjs');

const any = (...names: string[]) => Object.fromEntries(names.map((name) => [name, '*']));

describe('needsAtRunTime', () => {
  it('follows dependencies of every kind but those for development, as Node would find them', () => {
    const packages = {
      '': { dependencies: any('a', '@s/b', 'binding'), devDependencies: any('vitest') },
      'node_modules/@s/b': { optionalDependencies: any('c', 'not-for-this-platform') },
      'node_modules/a': { dependencies: any('c'), peerDependencies: any('d') },
      'node_modules/a/node_modules/c': { dependencies: any('e') },
      'node_modules/a/node_modules/e': {},
      'node_modules/binding': { dependencies: any('huge') },
      'node_modules/c': {},
      'node_modules/d': { dependencies: any('a') },
      'node_modules/e': {},
      'node_modules/huge': {},
      'node_modules/vitest': {},
    };
    expect(needsAtRunTime(packages, ['binding'])).toEqual([
      'node_modules/@s/b',
      'node_modules/a',
      'node_modules/a/node_modules/c',
      'node_modules/a/node_modules/e',
      'node_modules/c',
      'node_modules/d',
    ]);
  });

  it("finds what Rondo's programs import, and none of TensorFlow's JavaScript", () => {
    const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
      packages: Record<string, Locked>;
    };
    const found = needsAtRunTime(lock.packages, ['@tensorflow/tfjs-node-gpu']);
    for (const name of ['@grpc/grpc-js', 'protobufjs', 'sharp', 'koffi', 'nats', 'zod']) {
      expect(found).toContain(`node_modules/${name}`);
    }
    expect(found.filter((folder) => folder.includes('@tensorflow'))).toEqual([]);
    expect(found).not.toContain('node_modules/vitest');
    expect(found.some((folder) => folder.includes('@img/sharp-') && existsSync(folder))).toBe(true);
  });
});
