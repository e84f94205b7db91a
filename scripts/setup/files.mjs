import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

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
 * Under a temporary name first, so that no reader ever sees half of it.
 *
 * @param {string} file
 * @param {unknown} value
 */
export function writeJson(file, value) {
  mkdirSync(dirname(file), { recursive: true });
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
  mkdirSync(dirname(path), { recursive: true });
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
