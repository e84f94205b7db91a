import { readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { downloadWheels } from './download.mjs';
import { SetupError } from './errors.mjs';
import { makeFolder, replaceFolder } from './files.mjs';
import { findPython, requirePip } from './python.mjs';
import { formatBytes } from './report.mjs';
import { mustRun } from './run-command.mjs';
import { describeUnpacked, sealUnpacked } from './runtime-folder.mjs';
import { choosePinnedWheel, runtimeFolder, tensorflowVersion } from './wheels.mjs';

const script = new URL('unpack-wheel.py', import.meta.url).pathname;
const headers = [
  'tensorflow/c/*',
  'xla/tsl/c/*',
  'tensorflow/core/platform/ctstring*',
  'tsl/platform/ctstring*',
];
const parts = [
  'tensorflow/libtensorflow_cc.so.2',
  'tensorflow/libtensorflow_framework.so.2',
  'tensorflow/include/LICENSE',
  ...headers.map((pattern) => `tensorflow/include/${pattern}`),
];
/** TensorFlow's libraries look for these beside their own folder, at `../nvidia/NAME/lib`. */
const cudaParts = ['nvidia/*/lib/*', 'nvidia/cuda_nvcc/*', '*.dist-info/licenses/*'];

/**
 * Fetches, verifies and unpacks a source's runtime into the cache. Call it under the cache's lock.
 *
 * @param {Exclude<import('./wheels.mjs').Source, { kind: 'folder' }>} source
 * @param {string} cache
 * @param {{ env: Record<string, string | undefined>, report: import('./report.mjs').Report }} context
 * @returns {Promise<import('./runtime-folder.mjs').Runtime>}
 */
export async function obtainRuntime(source, cache, { env, report }) {
  const folder = runtimeFolder(source, cache, process.arch);
  const python = await findPython(env);
  const incoming = `${folder}.incoming`;
  // A name of its own: what a killed set-up left running may still write into the folder of that one.
  const unpacked = join(incoming, `unpacked-${process.pid}`);
  rmSync(unpacked, { recursive: true, force: true });
  makeFolder(unpacked);

  try {
    const wheel =
      source.kind === 'wheel' ? source.file : await fetchTensorflow(source.variant, python, incoming, report);
    await unpack(python, wheel, unpacked, parts, report);
    if (source.variant === 'gpu') {
      const wanted = source.cuda === 'host' ? /^nvidia-cuda-runtime-/ : /^nvidia-/;
      for (const file of await fetchCuda(python, wheel, { wanted, incoming, report })) {
        await unpack(python, file, unpacked, cudaParts, report);
      }
    }
    sealUnpacked(unpacked);
    replaceFolder(unpacked, folder);
  } finally {
    rmSync(unpacked, { recursive: true, force: true });
    if (readdirSync(incoming).length === 0) rmdirSync(incoming);
  }
  rmSync(incoming, { recursive: true, force: true });
  return describeUnpacked(folder);
}

/**
 * @param {'cpu' | 'gpu'} variant
 * @param {string} python
 * @param {string} incoming
 * @param {import('./report.mjs').Report} report
 */
async function fetchTensorflow(variant, python, incoming, report) {
  const { project, platform, bytes, sha256 } = choosePinnedWheel(variant, process);
  await requirePip(python);
  report.say(`  fetching ${project} ${tensorflowVersion} (${formatBytes(bytes)})`);
  const wheels = await downloadWheels({
    python,
    requirements: [`${project}==${tensorflowVersion} --hash=sha256:${sha256}`],
    platforms: [platform],
    folder: join(incoming, 'tensorflow'),
    label: project,
    bytes,
    report,
  });
  return /** @type {string} */ (wheels[0]);
}

/**
 * @param {string} python
 * @param {string} wheel TensorFlow's, which says which versions of NVIDIA's libraries it wants
 * @param {{ wanted: RegExp, incoming: string, report: import('./report.mjs').Report }} context `wanted`:
 *   their projects' names
 */
async function fetchCuda(python, wheel, { wanted, incoming, report }) {
  const remedy = 'Give --gpu a wheel of `tensorflow`, not of `tensorflow-cpu`.';
  const extra = await mustRun(python, [script, 'extra', wheel, 'and-cuda'], {
    doing: 'Reading the wheel',
    remedy,
  });
  const requirements = extra.split('\n').filter((line) => wanted.test(line));
  if (requirements.length === 0) throw new SetupError(`${wheel} names no CUDA libraries.`, remedy);
  await requirePip(python);
  const size = requirements.length > 1 ? ' (about 3 GB)' : '';
  report.say(`  fetching ${requirements.length} of NVIDIA's CUDA wheels${size}`);
  return downloadWheels({
    python,
    requirements,
    platforms: [
      'manylinux_2_27_x86_64',
      'manylinux_2_17_x86_64',
      'manylinux2014_x86_64',
      'manylinux1_x86_64',
    ],
    folder: join(incoming, 'nvidia'),
    label: 'CUDA libraries',
    report,
  });
}

/**
 * @param {string} python
 * @param {string} wheel
 * @param {string} folder
 * @param {readonly string[]} patterns
 * @param {import('./report.mjs').Report} report
 */
async function unpack(python, wheel, folder, patterns, report) {
  report.say(`  unpacking ${wheel.slice(wheel.lastIndexOf('/') + 1)}`);
  await mustRun(python, [script, 'unpack', wheel, folder, ...patterns], {
    doing: `Unpacking ${wheel}`,
    remedy:
      'Check that it is a whole TensorFlow wheel for Linux and that the disk has room (1.2 GB; with CUDA 10 GB).',
  });
}
