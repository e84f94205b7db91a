import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { RondoError } from './errors.js';
import { parseJson } from './parse-json.js';

/**
 * Where the things are that `npm run setup` has put in place for the programs. It notes them in
 * `.rondo/installation.json` of the repository (scripts/setup/steps.mjs): `natsServer` a path or null,
 * `tensorflow` with `libraries` and `include`, the folders that the binding was built against. Paths may be
 * relative to the repository: those of a bundle are, which is unpacked anywhere.
 */
export interface Installation {
  /**
   * The nats-server to start: RONDO_NATS_SERVER, else the one that set-up noted, else the first on PATH; or
   * null.
   */
  readonly natsServer: string | null;
  /** The folder of TensorFlow's shared libraries, or null when set-up has not run. */
  readonly tensorflowLibraries: string | null;
  /**
   * The folder that keeps what is fetched or computed once: RONDO_CACHE, else `rondo` in the user's cache
   * folder.
   */
  readonly cacheDir: string;
}

/** Reads the notes anew at each call. Absent or damaged notes are as none: nothing throws. */
export function installation(env: NodeJS.ProcessEnv = process.env, root = repositoryRoot()): Installation {
  const noted = readNotes(join(root, '.rondo', 'installation.json'));
  return {
    natsServer: findNatsServer(env, noted.natsServer ? resolve(root, noted.natsServer) : null),
    tensorflowLibraries: noted.tensorflow?.libraries ? resolve(root, noted.tensorflow.libraries) : null,
    cacheDir: cacheFolder(env),
  };
}

const notesSchema = z.object({
  natsServer: z.string().nullish(),
  tensorflow: z.object({ libraries: z.string().optional() }).optional(),
});
type Notes = z.infer<typeof notesSchema>;

function readNotes(file: string): Notes {
  try {
    return parseJson(notesSchema, readFileSync(file, 'utf8'), { name: file });
  } catch {
    return {};
  }
}

function findNatsServer(env: NodeJS.ProcessEnv, noted: string | null | undefined): string | null {
  if (env.RONDO_NATS_SERVER) return isExecutable(env.RONDO_NATS_SERVER) ? env.RONDO_NATS_SERVER : null;
  const folders = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const files = [...(noted ? [noted] : []), ...folders.map((folder) => join(folder, 'nats-server'))];
  return files.find(isExecutable) ?? null;
}

function cacheFolder(env: NodeJS.ProcessEnv): string {
  if (env.RONDO_CACHE) return resolve(env.RONDO_CACHE);
  return join(env.XDG_CACHE_HOME ? resolve(env.XDG_CACHE_HOME) : join(homedir(), '.cache'), 'rondo');
}

/** GiB of disk that decoded images may take unless RONDO_CACHE_GIB says otherwise. */
export const defaultDiskCacheGib = 20;

/**
 * GiB of disk that decoded images may take, all data sets together. Throws RondoError for what is no whole
 * number.
 */
export function diskCacheGib(env: NodeJS.ProcessEnv): number {
  const { RONDO_CACHE_GIB: given } = env;
  if (given === undefined || given === '') return defaultDiskCacheGib;
  if (/^\d{1,6}$/.test(given)) return Number(given);
  throw new RondoError('invalid-argument', `RONDO_CACHE_GIB is "${given}", which is no whole number`, {
    remedy: 'set it to the GiB of disk that decoded images may take, 0 for none, or unset it',
  });
}

/** The nearest folder above that holds a package.json: from runtime/ as from dist/runtime/. */
function repositoryRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** The version in Rondo's package.json. Coordinator and workers of a run must be of one version. */
export const version = readVersion();

function readVersion(): string {
  let url = new URL('../package.json', import.meta.url);
  // Compiled code lies one folder deeper than its source.
  if (!existsSync(url)) url = new URL('../../package.json', import.meta.url);
  return parseJson(z.object({ version: z.string() }), readFileSync(url, 'utf8'), { name: 'package.json' })
    .version;
}
