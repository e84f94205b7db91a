import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadScript } from './load-script.js';

interface Stamps {
  matches(step: string, digest: string): boolean;
  write(step: string, digest: string): void;
}

const { digestContents, digestStats, listFiles, openStamps } = await loadScript<{
  digestContents(root: string, files: readonly string[], words?: readonly string[]): string;
  digestStats(root: string, files: readonly string[], words?: readonly string[]): string;
  listFiles(root: string, folders: readonly string[], ending: string): string[];
  openStamps(file: string): Stamps;
}>('stamps.mjs');

let folder: string;
const write = (name: string, text: string) => writeFileSync(join(folder, name), text);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rondo-stamps-'));
  write('a.ts', 'one');
  write('b.ts', 'two');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('digestContents', () => {
  it('depends on contents, not on order or times', () => {
    const before = digestContents(folder, ['a.ts', 'b.ts']);
    utimesSync(join(folder, 'a.ts'), 1, 1);
    expect(digestContents(folder, ['b.ts', 'a.ts'])).toBe(before);
    write('a.ts', 'One');
    expect(digestContents(folder, ['a.ts', 'b.ts'])).not.toBe(before);
  });

  it('tells absent from empty, one file from another, and one word from another', () => {
    write('empty.ts', '');
    const digests = [
      digestContents(folder, ['empty.ts']),
      digestContents(folder, ['absent.ts']),
      digestContents(folder, ['a.ts']),
      digestContents(folder, []),
      digestContents(folder, [], ['x']),
      digestContents(folder, [], ['y']),
    ];
    expect(new Set(digests).size).toBe(digests.length);
  });
});

describe('digestStats', () => {
  it('changes with a size, with a time, and with a file that comes or goes', () => {
    const names = ['a.ts', 'b.ts', 'c.ts'];
    utimesSync(join(folder, 'a.ts'), 1, 1);
    const first = digestStats(folder, names);
    expect(digestStats(folder, names)).toBe(first);
    utimesSync(join(folder, 'a.ts'), 2, 2);
    const later = digestStats(folder, names);
    write('c.ts', 'three');
    const added = digestStats(folder, names);
    write('c.ts', 'three more');
    const longer = digestStats(folder, names);
    expect(new Set([first, later, added, longer]).size).toBe(4);
  });
});

describe('listFiles', () => {
  it('finds files at every depth, sorted, and nothing in an absent folder', () => {
    mkdirSync(join(folder, 'deep/er'), { recursive: true });
    write('deep/er/c.ts', '');
    write('deep/d.js', '');
    write('deep/b.ts', '');
    expect(listFiles(folder, ['deep', 'absent'], '.ts')).toEqual(['deep/b.ts', 'deep/er/c.ts']);
  });
});

describe('openStamps', () => {
  it('matches only what was written, also when read again', () => {
    const file = join(folder, 'state', 'stamps.json');
    const stamps = openStamps(file);
    expect(stamps.matches('packages', 'x')).toBe(false);
    stamps.write('packages', 'x');
    stamps.write('programs', 'y');
    for (const again of [stamps, openStamps(file)]) {
      expect(again.matches('packages', 'x')).toBe(true);
      expect(again.matches('packages', 'y')).toBe(false);
      expect(again.matches('programs', 'y')).toBe(true);
    }
  });

  it('starts anew from a file that was cut short', () => {
    write('stamps.json', '{"packages": "x');
    expect(openStamps(join(folder, 'stamps.json')).matches('packages', 'x')).toBe(false);
  });
});
