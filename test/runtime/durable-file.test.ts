import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { realFiles, replaceFolder, restoreReplaced } from '../../runtime/durable-file.js';
import { temporaryFolder } from '../support/tiny-run.js';

function makeFolderOf(parent: string, name: string, text: string): string {
  const path = join(parent, name);
  mkdirSync(path);
  writeFileSync(join(path, 'file'), text);
  return path;
}

const textOf = (path: string) => readFileSync(join(path, 'file'), 'utf8');

/** Replaces in a process that is killed at its call of the second rename, or right after it. */
async function replaceAndDie(temporary: string, path: string, when: 'before' | 'after'): Promise<void> {
  const script = `import('./dist/runtime/durable-file.js').then(({ replaceFolder, realFiles }) => {
    const [temporary, path, when] = process.argv.slice(1);
    const die = () => process.kill(process.pid, 'SIGKILL');
    return replaceFolder(temporary, path, {
      ...realFiles,
      async rename(from, to) {
        if (when === 'before') die();
        await realFiles.rename(from, to);
        die();
      },
    });
  });`;
  const cwd = new URL('../..', import.meta.url);
  const child = spawn(process.execPath, ['-e', script, temporary, path, when], { cwd, stdio: 'inherit' });
  expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
}

describe('replaceFolder', () => {
  it('gives the new folder the name, and leaves nothing of the old one', async () => {
    const parent = temporaryFolder();
    const path = makeFolderOf(parent, 'a', 'old');
    await replaceFolder(makeFolderOf(parent, '.a.tmp', 'new'), path);
    expect(textOf(path)).toBe('new');
    expect(readdirSync(parent)).toEqual(['a']);
  });

  it('puts the old folder back when the new one cannot take its place', async () => {
    const parent = temporaryFolder();
    const path = makeFolderOf(parent, 'a', 'old');
    const rename = async () => {
      throw new Error('injected');
    };
    await expect(replaceFolder(join(parent, '.a.tmp'), path, { ...realFiles, rename })).rejects.toThrow(
      'injected',
    );
    expect(textOf(path)).toBe('old');
    expect(readdirSync(parent)).toEqual(['a']);
  });

  it.each([
    ['before', 'old'],
    ['after', 'new'],
  ] as const)(
    'leaves one of the two when its process is killed %s the second rename: the %s one',
    async (when, text) => {
      const parent = temporaryFolder();
      const path = makeFolderOf(parent, 'a', 'old');
      await replaceAndDie(makeFolderOf(parent, '.a.0000.tmp', 'new'), path, when);
      await restoreReplaced(parent);
      expect(textOf(path)).toBe(text);
      expect(readdirSync(parent)).toEqual(['a']);
    },
  );
});
