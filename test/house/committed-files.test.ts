import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** A path into somebody's home or workplace; `/home/node` is a container's. */
const machinePath = /(?:^|[\s'"`(=:,])\/(?:root|work|Users\/\w+|home\/(?!node\b)\w+)\/[\w.-]/m;

interface LockedPackage {
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
}

describe('package-lock.json', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockedPackage>;
  };
  const locked = Object.entries(packages).filter(([path]) => path !== '');

  it('carries no download addresses, so that every registry serves', () => {
    expect(locked.length).toBeGreaterThan(100);
    expect(locked.filter(([, entry]) => entry.resolved !== undefined)).toEqual([]);
  });

  it('carries the digest of every package', () => {
    expect(locked.filter(([, entry]) => !entry.integrity?.startsWith('sha512-'))).toEqual([]);
  });
});

describe('committed files', () => {
  it('name no path of the machine they were written on', () => {
    const files = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' }).split('\0');
    const present = files.filter((file) => file !== '' && !file.endsWith('package-lock.json'));
    expect(present.length).toBeGreaterThan(20);
    expect(present.filter((file) => machinePath.test(readText(file)))).toEqual([]);
  });

  it.each([
    ['const a = "', 'root/x"', true],
    ['see ', 'work/main/README.md', true],
    ['', 'home/ann/pictures', true],
    ['at ', 'Users/ann/pictures', true],
    ['https://example.org', 'work/page', false],
    ['WORKDIR ', 'home/node/app', false],
    ['../', 'work/x', false],
  ])('%s/%s is recognised: %s', (before, path, found) => {
    expect(machinePath.test(`${before}/${path}`)).toBe(found);
  });
});

/** A file may have been removed since it was committed: that is a change like any other. */
function readText(file: string): string {
  try {
    return readFileSync(join(root, file), 'utf8');
  } catch {
    return '';
  }
}
