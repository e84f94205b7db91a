import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { SetupError } from './errors.mjs';

/**
 * @param {string} file
 * @returns {any} undefined when the file is absent or was cut short
 */
export function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Makes a folder, and those above it that are missing. Not in /proc and /sys, where the kernel shows its own
 * state: Node's mkdir never returns there. The programs' own is runtime/make-folder.ts.
 *
 * @param {string} folder
 */
export function makeFolder(folder) {
  let above = resolve(folder);
  while (!existsSync(above)) above = dirname(above);
  const kernels = /^\/(?:proc|sys)(?=\/|$)/.exec(realpathSync(above))?.[0];
  if (kernels !== undefined) {
    throw new SetupError(
      `${folder} is in ${kernels}, where nothing can be kept.`,
      'Choose a folder on a disk.',
    );
  }
  mkdirSync(folder, { recursive: true });
}

/**
 * Under a temporary name first, so that no reader ever sees half of it.
 *
 * @param {string} file
 * @param {unknown} value
 */
export function writeJson(file, value) {
  makeFolder(dirname(file));
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(value, null, 2)}\n`);
  renameSync(temporary, file);
}

/**
 * Whether `path` is a symbolic link to `target`.
 *
 * @param {string} path
 * @param {string} target
 */
export function isLinkTo(path, target) {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat?.isSymbolicLink() === true && readlinkSync(path) === target;
}

/**
 * Makes `path` a symbolic link to `target`, whatever was there. One link replaces another at once: a program
 * that starts meanwhile finds one of the two.
 *
 * @param {string} path
 * @param {string} target
 */
export function link(path, target) {
  if (isLinkTo(path, target)) return;
  makeFolder(dirname(path));
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there?.isDirectory()) rmSync(path, { recursive: true, force: true });
  const temporary = `${path}.${process.pid}.tmp`;
  symlinkSync(target, temporary);
  renameSync(temporary, path);
}

/**
 * Puts a finished folder in its place, whatever was there.
 *
 * @param {string} from
 * @param {string} to
 */
export function replaceFolder(from, to) {
  const old = `${to}.old-${process.pid}`;
  rmSync(old, { recursive: true, force: true });
  if (lstatSync(to, { throwIfNoEntry: false }) !== undefined) renameSync(to, old);
  renameSync(from, to);
  rmSync(old, { recursive: true, force: true });
}
