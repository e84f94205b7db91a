import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const rooms = ['bench', 'coordinator', 'plan', 'proto', 'runtime', 'scripts', 'worker'];

/** A recursive mkdir, on one line or several. */
const recursive = /\bmkdir(?:Sync)?\([^;]*?\brecursive:/;
const onlyThere = 'scripts/setup/files.mjs';

test('folders are made by makeFolder: Node’s recursive mkdir never returns in /proc', () => {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', ...rooms], {
    cwd: root,
    encoding: 'utf8',
  });
  const files = listed.split('\n').filter((file) => /\.m?[tj]s$/.test(file));
  expect(files.length).toBeGreaterThan(100);
  const found = files.filter((file) => recursive.test(readFileSync(join(root, file), 'utf8')));
  expect(found).toEqual([onlyThere]);
});

it.each([
  ['mkdirSync(folder, { recursive: true });', true],
  ['await mkdir(dirname(file), {\n  recursive: true,\n});', true],
  ['mkdirSync(folder); rmSync(folder, { recursive: true });', false],
  ['makeFolder(folder);', false],
])('%j', (text, found) => {
  expect(recursive.test(text)).toBe(found);
});
