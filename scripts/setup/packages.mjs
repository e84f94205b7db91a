import { join } from 'node:path';
import { SetupError } from './errors.mjs';
import { readJson } from './files.mjs';
import { root } from './places.mjs';
import { mustRun, runCommand } from './run-command.mjs';
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
 * @typedef {Record<string, { version?: string, integrity?: string, optional?: boolean, devOptional?: boolean,
 *   peer?: boolean }>} Packages
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

const remedy =
  'Check that npm reaches its registry (`npm ping`) and that the disk has room, then run `npm run setup` again.';

/**
 * Installs the locked packages; none of them gets to run a script.
 *
 * @returns {Promise<number>} how many there are
 */
export async function installPackages() {
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const doing = 'Installing the packages';
  const { code, output, stdout } = await runCommand('npm', ['ci', ...quiet], { cwd: root });
  if (code !== 0 && lacksOnlyOptional(output)) {
    await mustRun('npm', ['install', '--no-save', ...quiet], { cwd: root, doing, remedy });
  } else if (code !== 0) {
    const disagree = output.includes('EUSAGE');
    const why = disagree
      ? 'package.json and package-lock.json disagree.'
      : `\n${output.trim() || stdout.trim()}`;
    throw new SetupError(
      `${doing} failed: ${why}`,
      disagree ? 'Run `npm install` and commit the lock file.' : remedy,
    );
  }
  return Object.keys(readJson(join(root, 'node_modules', '.package-lock.json'))?.packages ?? {}).length;
}

/**
 * Whether `npm ci` refuses the lock file only because it names no version of some optional packages: those
 * that the registry did not have for other platforms when it was written. `npm install` takes such a lock
 * file as it is.
 *
 * @param {string} output of `npm ci`
 */
export function lacksOnlyOptional(output) {
  const complaints = output.match(/(?:Missing|Invalid): .*/g) ?? [];
  return complaints.length > 0 && complaints.every((line) => /^Missing: \S+@ from lock file$/.test(line));
}
