import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** What the set-up remembers about this copy of the repository; git ignores it. */
export const stateFolder = join(root, '.rondo');

/** Where things are that the programs need at run time; `runtime/installation.ts` reads it. */
export const installationFile = join(stateFolder, 'installation.json');

/** The package whose native addon is built here. */
export const tensorflowPackage = join(root, 'node_modules', '@tensorflow', 'tfjs-node-gpu');

/**
 * The folder that keeps downloads, shared by every copy of the repository: RONDO_CACHE, else `rondo` in the
 * user's cache folder.
 *
 * @param {Record<string, string | undefined>} env
 */
export function cacheFolder(env) {
  if (env.RONDO_CACHE) return resolve(env.RONDO_CACHE);
  return join(env.XDG_CACHE_HOME ? resolve(env.XDG_CACHE_HOME) : join(homedir(), '.cache'), 'rondo');
}
