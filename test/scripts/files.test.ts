import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadScript } from './load-script.js';

let makeFolder: (folder: string) => void;
const root = mkdtempSync(join(tmpdir(), 'rondo-files-'));
beforeAll(async () => {
  ({ makeFolder } = await loadScript<{ makeFolder: typeof makeFolder }>('files.mjs'));
});
afterAll(() => rmSync(root, { recursive: true }));

it('makes folders, and none where the kernel shows its own state', () => {
  makeFolder(join(root, 'a', 'b'));
  makeFolder(join(root, 'a', 'b'));
  expect(existsSync(join(root, 'a', 'b'))).toBe(true);
  symlinkSync('/proc', join(root, 'link'));
  for (const folder of ['/proc/rondo/cache', '/sys/rondo', join(root, 'link', 'cache')]) {
    expect(() => makeFolder(folder)).toThrow(
      expect.objectContaining({ remedy: 'Choose a folder on a disk.' }),
    );
  }
});
