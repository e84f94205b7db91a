import { renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from './errors.mjs';
import { isLinkTo, link, makeFolder } from './files.mjs';
import { root, tensorflowPackage } from './places.mjs';
import { mustRun, runCommand } from './run-command.mjs';
import { linkedLibraries } from './runtime-folder.mjs';
import { digestContents, digestStats } from './stamps.mjs';

const sources = ['binding/tfjs_backend.cc', 'binding/tfjs_binding.cc'];
/** Lets sessions be configured. */
const configHeader = join('scripts', 'setup', 'session-config.h');
const addon = join(tensorflowPackage, 'lib', 'napi-v8', 'tfjs_binding.node');

/** The package's own places: its addon finds the libraries in `deps/lib`, wherever that leads. */
const links = {
  libraries: join(tensorflowPackage, 'deps', 'lib'),
  include: join(tensorflowPackage, 'deps', 'include'),
};

/**
 * What the addon depends on.
 *
 * @param {import('./runtime-folder.mjs').Runtime} runtime
 */
export function bindingDigest(runtime) {
  const libraries = digestStats(runtime.libraries, linkedLibraries(runtime));
  const header = digestContents(root, [configHeader]);
  return digestContents(
    tensorflowPackage,
    ['package.json'],
    [process.arch, libraries, runtime.include, header],
  );
}

/** @param {import('./runtime-folder.mjs').Runtime} runtime */
export function bindingIsBuilt(runtime) {
  const linked = isLinkTo(links.libraries, runtime.libraries) && isLinkTo(links.include, runtime.include);
  return linked && statSync(addon, { throwIfNoEntry: false }) !== undefined;
}

/**
 * Builds the package's Node-API addon against the runtime, in one call of the C++ compiler: it needs the
 * headers of `node-api-headers` and neither node-gyp nor Node's own headers.
 *
 * @param {import('./runtime-folder.mjs').Runtime} runtime
 * @param {Record<string, string | undefined>} env
 */
export async function buildBinding(runtime, env) {
  const compiler = await findCompiler(env);
  link(links.libraries, runtime.libraries);
  link(links.include, runtime.include);
  makeFolder(join(tensorflowPackage, 'lib', 'napi-v8'));
  const built = `${addon}.${process.pid}.node`; // require() goes by the ending
  const headers = [join(root, 'node_modules', 'node-api-headers', 'include'), links.include];
  const args = [
    ...['-std=c++17', '-O2', '-w', '-shared', '-fPIC', '-DNAPI_VERSION=8'],
    ...headers.map((folder) => `-I${folder}`),
    ...['-include', join(root, configHeader), ...sources],
    ...['-o', built, `-L${links.libraries}`, '-Wl,-rpath,$ORIGIN/../../deps/lib'],
    ...linkedLibraries(runtime).map((name) => `-l:${name}`),
  ];
  try {
    return await buildAndLoad(compiler, args, built);
  } finally {
    rmSync(built, { force: true });
  }
}

/**
 * @param {string} compiler
 * @param {readonly string[]} args
 * @param {string} built
 */
async function buildAndLoad(compiler, args, built) {
  await mustRun(compiler, args, {
    cwd: tensorflowPackage,
    doing: "Building TensorFlow's binding",
    remedy: 'Check that the C++ compiler knows C++17 (g++ 9, clang++ 9 or later); CXX names another.',
  });
  const load = 'process.stdout.write(require(process.argv[1]).TF_Version)';
  const version = await mustRun(process.execPath, ['-e', load, built], {
    doing: "Loading TensorFlow's binding",
    remedy:
      'If a library is missing or another version is wanted, choose another runtime (`npm run setup -- --help`).',
  });
  renameSync(built, addon);
  return version;
}

/** @param {Record<string, string | undefined>} env */
async function findCompiler(env) {
  const candidates = env.CXX ? [env.CXX] : ['g++', 'c++', 'clang++'];
  for (const candidate of candidates) {
    if ((await runCommand(candidate, ['--version'])).code === 0) return candidate;
  }
  throw new SetupError(
    `There is no C++ compiler: ${candidates.join(', ')} not found.`,
    'Install one (Debian and Ubuntu: `apt-get install g++`; Fedora: `dnf install gcc-c++`), or name one by CXX.',
  );
}
