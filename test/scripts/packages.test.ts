import { describe, expect, it } from 'vitest';
import { loadScript } from './load-script.js';

type Packages = Record<string, { version?: string; integrity?: string; optional?: boolean }>;

const { lacksOnlyOptional, sameVersions } = await loadScript<{
  lacksOnlyOptional(output: string): boolean;
  sameVersions(locked: Packages, installed: Packages): boolean;
}>('packages.mjs');

describe('sameVersions', () => {
  const locked: Packages = {
    '': { version: '0.1.0' },
    'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
    'node_modules/b-other-platform': { version: '2.0.0', integrity: 'sha512-b', optional: true },
  };
  const installed: Packages = { 'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' } };

  it('accepts the locked versions, without those for other platforms', () => {
    expect(sameVersions(locked, installed)).toBe(true);
  });

  it.each<[string, Packages]>([
    ['another version', { 'node_modules/a': { version: '1.0.1', integrity: 'sha512-a' } }],
    ['other contents', { 'node_modules/a': { version: '1.0.0', integrity: 'sha512-x' } }],
    ['a package too few', {}],
    ['a package too many', { ...installed, 'node_modules/c': { version: '1.0.0', integrity: 'sha512-c' } }],
  ])('refuses %s', (_, found) => {
    expect(sameVersions(locked, found)).toBe(false);
  });
});

describe('lacksOnlyOptional', () => {
  it.each([
    ['npm error Missing: @scope/tool-win32-x64@ from lock file', true],
    ['npm error Missing: a@ from lock file\nnpm error Missing: b@ from lock file', true],
    ['npm error Missing: a@1.2.3 from lock file', false],
    ['npm error Missing: a@ from lock file\nnpm error Missing: b@1.0.0 from lock file', false],
    ["npm error Invalid: lock file's a@1.0.0 does not satisfy a@2.0.0", false],
    ['npm error network', false],
  ])('%s: %s', (output, expected) => {
    expect(lacksOnlyOptional(output)).toBe(expected);
  });
});
