import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SetupError } from './errors.mjs';

/** The TensorFlow that Rondo is built and tested with. */
export const tensorflowVersion = '2.21.0';

/**
 * @typedef {object} PinnedWheel
 * @property {string} project its name at the package index
 * @property {string} platform pip's word for the machine
 * @property {number} bytes
 * @property {string} sha256
 */

/**
 * Any Python's wheel serves: only its C++ libraries and headers are used, and they are the same in all of
 * them.
 *
 * @type {Record<string, PinnedWheel>}
 */
const pinnedWheels = {
  'x64-cpu': {
    project: 'tensorflow-cpu',
    platform: 'manylinux_2_27_x86_64',
    bytes: 273_829_956,
    sha256: '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c',
  },
  'x64-gpu': {
    project: 'tensorflow',
    platform: 'manylinux_2_27_x86_64',
    bytes: 572_440_367,
    sha256: '9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124',
  },
  'arm64-cpu': {
    project: 'tensorflow',
    platform: 'manylinux_2_27_aarch64',
    bytes: 281_828_020,
    sha256: '4b24aca16d527a3cf1c37f720c04c484c3d20f4d0fdfa98632ac8b9f3be6eb5c',
  },
};

/** @typedef {'cpu' | 'gpu'} Variant */

/**
 * Where the TensorFlow runtime comes from. `cuda: 'host'` leaves NVIDIA's libraries out but for libcudart,
 * for a machine that has others' versions of them (scripts/bundle).
 *
 * @typedef {{ kind: 'index', variant: Variant, cuda?: 'host' }
 *   | { kind: 'wheel', file: string, bytes: number, changedMs: number, variant: Variant, cuda?: 'host' }
 *   | { kind: 'folder', folder: string }} Source
 */

/**
 * Decides where the runtime comes from: the command line, else the environment, else what was chosen last
 * time, else the package index's CPU wheel. So `npm start` keeps what `npm run setup -- --gpu` has chosen.
 *
 * @param {{ variant?: Variant | undefined, wheel?: string | undefined, libtensorflow?: string | undefined }}
 *   options
 * @param {Record<string, string | undefined>} env
 * @param {Source | undefined} remembered
 * @returns {Source}
 */
export function chooseSource(options, env, remembered) {
  if (options.wheel !== undefined && options.libtensorflow !== undefined) {
    throw new SetupError('--wheel and --libtensorflow exclude each other.', 'Give one of them.');
  }
  const variant = options.variant ?? 'cpu';
  if (options.libtensorflow !== undefined) return { kind: 'folder', folder: resolve(options.libtensorflow) };
  if (options.wheel !== undefined) return lookAtWheel(options.wheel, variant);
  if (env.RONDO_LIBTENSORFLOW) return { kind: 'folder', folder: resolve(env.RONDO_LIBTENSORFLOW) };
  if (env.RONDO_TF_WHEEL) return lookAtWheel(env.RONDO_TF_WHEEL, variant);
  if (options.variant !== undefined) return { kind: 'index', variant };
  return remembered ?? { kind: 'index', variant };
}

/**
 * @param {Variant} variant
 * @param {{ platform: string, arch: string }} machine Node's words for them
 * @returns {PinnedWheel}
 */
export function choosePinnedWheel(variant, { platform, arch }) {
  const wheel = platform === 'linux' ? pinnedWheels[`${arch}-${variant}`] : undefined;
  if (wheel !== undefined) return wheel;
  const what = variant === 'gpu' ? 'with CUDA ' : '';
  throw new SetupError(
    `There is no TensorFlow ${tensorflowVersion} runtime ${what}for ${platform} on ${arch}.`,
    variant === 'gpu' && platform === 'linux'
      ? 'Run `npm run setup -- --cpu` for the CPU runtime.'
      : 'Use Linux on x64 or arm64, or point --libtensorflow at a libtensorflow built for this machine.',
  );
}

/**
 * The folder of the cache that a source's runtime is kept in. A wheel file's carries its size and time of
 * last change, so that a changed file is another runtime, and one that is gone may have been unpacked before.
 *
 * @param {Exclude<Source, { kind: 'folder' }>} source
 * @param {string} cache
 * @param {string} arch
 */
export function runtimeFolder(source, cache, arch) {
  const variant = source.cuda === 'host' ? `${source.variant}-host-cuda` : source.variant;
  if (source.kind === 'index') return join(cache, `tensorflow-${tensorflowVersion}-${variant}-${arch}`);
  return join(cache, `tensorflow-wheel-${source.bytes}-${source.changedMs}-${variant}`);
}

/**
 * @param {string} file
 * @param {Variant} variant
 * @returns {Source}
 */
function lookAtWheel(file, variant) {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat?.isFile()) {
    return {
      kind: 'wheel',
      file: resolve(file),
      bytes: stat.size,
      changedMs: Math.floor(stat.mtimeMs),
      variant,
    };
  }
  throw new SetupError(
    `There is no wheel file ${file}.`,
    'Check --wheel or RONDO_TF_WHEEL, or run `npm run setup -- --cpu` to fetch one.',
  );
}
