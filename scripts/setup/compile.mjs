import { chmodSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isLinkTo, link } from './files.mjs';
import { assembledKernels, assembleKernels, kernelSources, kernelsAreAssembled } from './kernels.mjs';
import { root } from './places.mjs';
import { mustRun } from './run-command.mjs';
import { digestStats, listFiles } from './stamps.mjs';

const folders = ['plan', 'proto', 'runtime', 'coordinator', 'worker', 'bench'];
const configs = [
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'node_modules/typescript/package.json',
];
const programs = ['coordinator', 'worker'];

/** What the compiled programs depend on, but for what compiling makes. */
export function compileDigest() {
  const sources = listFiles(root, folders, '.ts').filter((file) => !assembledKernels.includes(file));
  return digestStats(root, [...sources, ...kernelSources, ...configs]);
}

export function programsAreCompiled() {
  const hasProgram = (/** @type {string} */ name) =>
    statSync(entryPoint(name), { throwIfNoEntry: false }) !== undefined &&
    isLinkTo(binLink(name), binTarget(name));
  return kernelsAreAssembled() && programs.every(hasProgram);
}

/**
 * Assembles the kernels, compiles the sources to dist/ (only what has changed), removes what no longer has a source, and makes the
 * programs commands: `npx coordinator`, `npx worker`.
 *
 * @returns {Promise<number>} how many files there are
 */
export async function compile() {
  await assembleKernels();
  const sources = listFiles(root, folders, '.ts').filter((file) => !file.endsWith('.d.ts'));
  const wanted = new Set(sources.map((file) => join('dist', file.replace(/\.ts$/, '.js'))));
  for (const file of listFiles(root, ['dist'], '.js')) if (!wanted.has(file)) rmSync(join(root, file));
  const missing = [...wanted].some(
    (file) => statSync(join(root, file), { throwIfNoEntry: false }) === undefined,
  );
  // The compiler's notes say what it has written before; it would not write a file again that was removed
  // since.
  if (missing) rmSync(join(root, 'dist', '.tsbuildinfo'), { force: true });
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  await mustRun(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
    cwd: root,
    doing: 'Compiling',
    remedy: 'Correct the errors above. `npm run check` shows them all.',
  });
  for (const name of programs) {
    chmodSync(entryPoint(name), 0o755);
    link(binLink(name), binTarget(name));
  }
  return sources.length;
}

/** @param {string} name */
function entryPoint(name) {
  return join(root, 'dist', name, 'main.js');
}

/** @param {string} name */
function binLink(name) {
  return join(root, 'node_modules', '.bin', name);
}

/** @param {string} name */
function binTarget(name) {
  return `../../dist/${name}/main.js`;
}
