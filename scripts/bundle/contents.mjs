import { readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { SetupError } from '../setup/errors.mjs';
import { readJson } from '../setup/files.mjs';
import { root } from '../setup/places.mjs';
import { linkedLibraries } from '../setup/runtime-folder.mjs';
import { needsAtRunTime } from './production-packages.mjs';

/**
 * What an archive is packed from: a file of this machine, a link or a text, and its path within the bundle.
 *
 * @typedef {{ path: string, file: string } | { path: string, link: string }
 *   | { path: string, text: string, executable?: boolean }} Entry
 */

/**
 * The package of which only the addon is loaded, and nothing of its JavaScript: worker/tensorflow/binding.ts.
 */
const tensorflowPackage = '@tensorflow/tfjs-node-gpu';

/** What the benches start beside the compiled programs: scripts of their peers, and stored results. */
const benchFiles = /\.(py|mjs|json)$/;

/**
 * Rondo's programs and packages in `app/`, Node and commands in `bin/`.
 *
 * @param {{ natsServer: string | null }} places
 * @returns {Entry[]}
 */
export function programEntries({ natsServer }) {
  const bench = filesBelow(join(root, 'bench')).filter((file) => benchFiles.test(file));
  const files = [
    ...filesBelow(join(root, 'dist')),
    ...bench,
    join(root, 'package.json'),
    join(root, 'LICENSE'),
  ];
  const installation = {
    natsServer: natsServer === null ? null : '../runtime/nats-server',
    tensorflow: { libraries: '../runtime/tensorflow' },
  };
  return [
    ...files
      .filter((file) => !file.endsWith('.tsbuildinfo'))
      .map((file) => ({ path: `app/${relative(root, file)}`, file })),
    ...packageEntries(),
    { path: 'app/.rondo/installation.json', text: `${JSON.stringify(installation, null, 2)}\n` },
    { path: 'bin/node', file: process.execPath },
    { path: 'bin/coordinator', text: command('coordinator/main.js'), executable: true },
    { path: 'bin/worker', text: command('worker/main.js'), executable: true },
    { path: 'bin/bench', text: command('bench/main.js'), executable: true },
    ...(natsServer === null ? [] : [{ path: 'runtime/nats-server', file: natsServer }]),
  ];
}

/** @returns {Entry[]} */
function packageEntries() {
  const lock = readJson(join(root, 'package-lock.json'));
  const folders = needsAtRunTime(lock.packages, [tensorflowPackage]).filter(isInstalled);
  const files = folders.flatMap((folder) => {
    // Packages within packages are listed by themselves.
    const own = filesBelow(join(root, folder), (name) => name !== 'node_modules');
    return own.map((file) => ({ path: `app/${relative(root, file)}`, file }));
  });
  const addon = `node_modules/${tensorflowPackage}`;
  const addonFiles = ['package.json', 'LICENSE', 'lib/napi-v8/tfjs_binding.node'];
  return [
    ...files,
    ...addonFiles
      .map((name) => `${addon}/${name}`)
      .filter(isInstalled)
      .map((path) => ({ path: `app/${path}`, file: join(root, path) })),
    { path: `app/${addon}/deps/lib`, link: '../../../../../runtime/tensorflow' },
  ];
}

/** @param {string} path within the repository; packages for other platforms are locked, but not installed */
function isInstalled(path) {
  return statSync(join(root, path), { throwIfNoEntry: false }) !== undefined;
}

/**
 * TensorFlow's libraries, and NVIDIA's that a runtime brings along. Their own links lead from the one to the
 * other.
 *
 * @param {import('../setup/runtime-folder.mjs').Runtime} runtime
 * @returns {{ path: string, file: string }[]}
 */
export function runtimeEntries({ libraries, include }) {
  const names = linkedLibraries({ libraries, include });
  if (names.length === 0)
    throw new SetupError(`${libraries} holds no TensorFlow.`, 'Run `npm run setup` first.');
  const nvidia = join(libraries, '..', 'nvidia');
  const cuda = statSync(nvidia, { throwIfNoEntry: false }) ? filesBelow(nvidia) : [];
  const license = join(include, 'LICENSE');
  return [
    ...names.map((name) => ({ path: `runtime/tensorflow/${name}`, file: join(libraries, name) })),
    ...cuda
      .filter((file) => /\/lib\/[^/]+\.so[.\d]*$/.test(file))
      .map((file) => ({ path: `runtime/nvidia/${relative(nvidia, file)}`, file })),
    ...(statSync(license, { throwIfNoEntry: false })
      ? [{ path: 'runtime/tensorflow/LICENSE', file: license }]
      : []),
  ];
}

/** @param {string} program within dist/ */
function command(program) {
  return `#!/bin/sh
here=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd) || exit
# Where the machine's own CUDA libraries are, which unpack.py has found.
if [ -f "$here/runtime/library-path" ]; then
  LD_LIBRARY_PATH="$here/runtime/cuda:$(cat "$here/runtime/library-path")\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  export LD_LIBRARY_PATH
fi
exec "$here/bin/node" "$here/app/dist/${program}" "$@"
`;
}

/**
 * @param {string} folder
 * @param {(name: string) => boolean} [enters] whether a folder of this name is gone into
 * @returns {string[]}
 */
function filesBelow(folder, enters = () => true) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return enters(entry.name) ? filesBelow(path, enters) : [];
    return entry.isFile() ? [path] : [];
  });
}
