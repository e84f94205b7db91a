import { join } from 'node:path';
import { readJson } from './files.mjs';
import { root } from './places.mjs';
import { mustRun } from './run-command.mjs';
import { digestContents } from './stamps.mjs';

/** What the installed packages depend on. */
export function packagesDigest() {
  return digestContents(
    root,
    ['package.json', 'package-lock.json', '.npmrc'],
    [process.platform, process.arch],
  );
}

/** Whether npm has finished an installation here: it writes this file last. */
export function packagesAreThere() {
  return readJson(join(root, 'node_modules', '.package-lock.json')) !== undefined;
}

/** Whether exactly the locked versions are installed already, by whatever command. */
export function packagesMatchLock() {
  const locked = readJson(join(root, 'package-lock.json'))?.packages;
  const installed = readJson(join(root, 'node_modules', '.package-lock.json'))?.packages;
  return locked !== undefined && installed !== undefined && sameVersions(locked, installed);
}

/**
 * @typedef {Record<string, { version?: string, integrity?: string, optional?: boolean, devOptional?: boolean, peer?: boolean }>} Packages
 */

/**
 * @param {Packages} locked of package-lock.json
 * @param {Packages} installed of node_modules/.package-lock.json
 */
export function sameVersions(locked, installed) {
  const same = Object.entries(locked).every(([path, entry]) => {
    const found = installed[path];
    if (path === '') return true;
    if (found === undefined) return entry.optional === true || entry.devOptional === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
  return same && Object.keys(installed).every((path) => path in locked);
}

/** Installs the locked packages; none of them gets to run a script. */
export async function installPackages() {
  await mustRun('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    doing: 'Installing the packages',
    remedy:
      'Check that npm reaches its registry (`npm ping`) and that the disk has room, then run `npm run setup` again.',
  });
  return Object.keys(readJson(join(root, 'node_modules', '.package-lock.json'))?.packages ?? {}).length;
}
