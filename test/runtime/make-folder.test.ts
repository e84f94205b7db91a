import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RondoError } from '../../runtime/errors.js';
import { makeFolder } from '../../runtime/make-folder.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rondo-folders-'));
});
afterEach(() => rmSync(root, { recursive: true }));

describe('makeFolder', () => {
  it('makes what is missing, with the mode, and leaves what is there', () => {
    const folder = join(root, 'a', 'b', 'c');
    makeFolder(folder, { mode: 0o700 });
    makeFolder(folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(root, 'a')).mode & 0o777).toBe(0o700);
    makeFolder(`${folder}/d/../e/`);
    expect(existsSync(join(folder, 'e'))).toBe(true);
  });

  it('makes folders behind a link', () => {
    makeFolder(join(root, 'real'));
    symlinkSync('real', join(root, 'link'));
    makeFolder(join(root, 'link', 'a'));
    expect(existsSync(join(root, 'real', 'a'))).toBe(true);
  });

  it.each([
    '/proc/rondo/runs',
    '/proc',
    '/sys/rondo',
    '/sys/fs/cgroup/rondo',
    '/proc/self/../../sys/rondo',
    'proc-link/runs/a',
    'sys-link',
  ])('refuses %s, and says what helps', (name) => {
    symlinkSync('/proc', join(root, 'proc-link'));
    symlinkSync('/sys/kernel', join(root, 'sys-link'));
    const folder = name.startsWith('/') ? name : join(root, name);
    expect(() => makeFolder(folder)).toThrow(
      expect.objectContaining({
        code: 'invalid-argument',
        message: expect.stringMatching(/ is in \/(proc|sys), where the kernel shows its own state/),
        remedy: expect.stringContaining('on a disk'),
      }),
    );
  });

  it('is not misled by names that only begin like these, nor by links out of them', () => {
    makeFolder(join(root, 'proc', 'sys'));
    makeFolder(`/proc/self/root${root}/b`);
    expect(existsSync(join(root, 'b'))).toBe(true);
  });

  it('says what stands in the way', () => {
    writeFileSync(join(root, 'file'), '');
    const errors = ['file', 'file/a'].map((name) => {
      try {
        return makeFolder(join(root, name));
      } catch (error) {
        return RondoError.from(error);
      }
    });
    expect(errors).toMatchObject([{ message: expect.stringContaining('EEXIST') }, { code: 'not-found' }]);
    symlinkSync('nowhere', join(root, 'dangling'));
    expect(() => makeFolder(join(root, 'dangling'))).toThrow(/EEXIST/);
  });
});
