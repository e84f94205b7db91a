import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findSharedFiles, makerOf, nameSharedFile, removeSharedFiles } from '../../runtime/shared-files.js';
import { temporaryFolder } from '../support/tiny-run.js';

it('removes what one process left, and nothing else', () => {
  const folder = temporaryFolder();
  const left = 'rondo-4711-0123456789abcdef';
  const own = nameSharedFile();
  const others = [own, 'rondo-47110-0123456789abcdef', 'rondo-4711', 'rondo-4711-0123456789abcdef.txt'];
  for (const name of [left, ...others]) writeFileSync(join(folder, name), '');
  expect([left, ...others].map(makerOf)).toEqual([4711, process.pid, 47110, null, null]);
  expect(findSharedFiles(new Set([4711]), folder)).toEqual([left]);
  removeSharedFiles(4711, folder);
  expect(readdirSync(folder).sort()).toEqual(others.toSorted());
});

it('does without a folder, and with one of that name', () => {
  const folder = temporaryFolder();
  expect(findSharedFiles(new Set([1]), join(folder, 'gone'))).toBeNull();
  removeSharedFiles(1, join(folder, 'gone'));
  mkdirSync(join(folder, 'rondo-1-0123456789abcdef'));
  removeSharedFiles(1, folder);
});
