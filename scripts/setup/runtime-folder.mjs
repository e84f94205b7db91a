import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from './errors.mjs';
import { readJson, writeJson } from './files.mjs';
import { runtimeFolder } from './wheels.mjs';

const manifestName = 'manifest.json';

/**
 * A TensorFlow runtime on this machine. `libraries` holds the shared libraries, `include` the C headers.
 *
 * @typedef {object} Runtime
 * @property {string} libraries
 * @property {string} include
 */

/**
 * The runtime of a source if it is whole: every file that was unpacked is there in its full length.
 *
 * @param {import('./wheels.mjs').Source} source
 * @param {string} cache
 * @returns {Runtime | undefined}
 */
export function findRuntime(source, cache) {
  if (source.kind === 'folder') return describeFolder(source.folder);
  const folder = runtimeFolder(source, cache, process.arch);
  return isWhole(folder) ? describeUnpacked(folder) : undefined;
}

/**
 * Notes what a finished folder holds, so that `findRuntime` can tell it from a damaged one.
 *
 * @param {string} folder
 */
export function sealUnpacked(folder) {
  writeJson(join(folder, manifestName), listSizes(folder));
}

/** @param {string} folder */
function listSizes(folder) {
  /** @type {Record<string, number>} */
  const sizes = {};
  for (const entry of readdirSync(folder, { recursive: true })) {
    const stat = statSync(join(folder, String(entry)));
    if (stat.isFile()) sizes[String(entry)] = stat.size;
  }
  return sizes;
}

/** @param {string} folder */
function isWhole(folder) {
  const sizes = readJson(join(folder, manifestName));
  if (sizes === undefined) return false;
  return Object.entries(sizes).every(
    ([name, size]) => statSync(join(folder, name), { throwIfNoEntry: false })?.size === size,
  );
}

/**
 * @param {string} folder
 * @returns {Runtime}
 */
export function describeUnpacked(folder) {
  return { libraries: join(folder, 'tensorflow'), include: join(folder, 'tensorflow', 'include') };
}

/**
 * A folder of the user's own: an installed `tensorflow` Python package, or an unpacked libtensorflow archive.
 *
 * @param {string} folder
 * @returns {Runtime}
 */
function describeFolder(folder) {
  const libraries = [folder, join(folder, 'lib'), join(folder, 'tensorflow')].find((candidate) =>
    libraryNames(candidate).some((name) => name.startsWith('libtensorflow_framework.so')),
  );
  const include = [join(folder, 'include'), join(folder, 'tensorflow', 'include')].find(
    (candidate) => statSync(join(candidate, 'tensorflow/c/c_api.h'), { throwIfNoEntry: false }) !== undefined,
  );
  if (libraries !== undefined && include !== undefined) return { libraries, include };
  const missing = libraries === undefined ? 'libtensorflow_framework.so.2' : 'include/tensorflow/c/c_api.h';
  throw new SetupError(
    `${folder} is no TensorFlow runtime: it holds no ${missing}.`,
    'Point --libtensorflow (or RONDO_LIBTENSORFLOW) at an unpacked libtensorflow archive or an installed `tensorflow` ' +
      'Python package; or run `npm run setup -- --cpu` to fetch one.',
  );
}

/**
 * The shared libraries to link against, as the linker wants them named.
 *
 * @param {Runtime} runtime
 * @returns {string[]} file names within `runtime.libraries`
 */
export function linkedLibraries(runtime) {
  const names = libraryNames(runtime.libraries);
  return ['libtensorflow_cc.so', 'libtensorflow.so', 'libtensorflow_framework.so']
    .map((stem) => names.find((name) => name === `${stem}.2`) ?? names.find((name) => name === stem))
    .filter((name) => name !== undefined)
    .filter(
      (name, _, all) => !(name.startsWith('libtensorflow.so') && all[0]?.startsWith('libtensorflow_cc')),
    );
}

/** @param {string} folder */
function libraryNames(folder) {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return [];
  return readdirSync(folder).filter((name) => name.startsWith('libtensorflow'));
}
