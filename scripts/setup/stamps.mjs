import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { readJson, writeJson } from './files.mjs';

/**
 * A digest of what files say. A file that is absent counts as such.
 *
 * @param {string} root
 * @param {readonly string[]} files relative to `root`
 * @param {readonly string[]} [words] whatever else the result depends on
 */
export function digestContents(root, files, words = []) {
  const hash = createHash('sha256');
  for (const word of words) hash.update(`word ${word}\n`);
  for (const file of [...files].sort()) {
    const content = readIfThere(join(root, file));
    hash.update(content === undefined ? `absent ${file}\n` : `file ${file} ${content.length}\n`);
    if (content !== undefined) hash.update(content);
  }
  return hash.digest('hex');
}

/**
 * A digest of names, sizes and times of last change: fast enough to look at every source file at every start.
 *
 * @param {string} root
 * @param {readonly string[]} files relative to `root`
 * @param {readonly string[]} [words]
 */
export function digestStats(root, files, words = []) {
  const hash = createHash('sha256');
  for (const word of words) hash.update(`word ${word}\n`);
  for (const file of [...files].sort()) {
    const stat = statSync(join(root, file), { throwIfNoEntry: false });
    hash.update(stat === undefined ? `absent ${file}\n` : `file ${file} ${stat.size} ${stat.mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/**
 * Every file under the folders, sorted.
 *
 * @param {string} root
 * @param {readonly string[]} folders relative to `root`; one that is absent holds nothing
 * @param {string} ending
 * @returns {string[]} relative to `root`
 */
export function listFiles(root, folders, ending) {
  return folders
    .flatMap((folder) => {
      const path = join(root, folder);
      if (statSync(path, { throwIfNoEntry: false }) === undefined) return [];
      return readdirSync(path, { withFileTypes: true, recursive: true })
        .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
        .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)));
    })
    .sort();
}

/**
 * What each step of the set-up last made, and from what. A step whose stamp still matches has nothing to do.
 *
 * @param {string} file
 */
export function openStamps(file) {
  /** @type {Record<string, string>} */
  const stamps = readJson(file) ?? {};
  return {
    /**
     * @param {string} step
     * @param {string} digest
     */
    matches(step, digest) {
      return stamps[step] === digest;
    },
    /**
     * @param {string} step
     * @param {string} digest
     */
    write(step, digest) {
      stamps[step] = digest;
      writeJson(file, stamps);
    },
  };
}

/** @param {string} path */
function readIfThere(path) {
  return statSync(path, { throwIfNoEntry: false }) === undefined ? undefined : readFileSync(path);
}
