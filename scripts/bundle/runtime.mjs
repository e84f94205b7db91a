import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from '../setup/lock.mjs';
import { formatBytes } from '../setup/report.mjs';
import { mustRun } from '../setup/run-command.mjs';
import { obtainRuntime } from '../setup/runtime.mjs';
import { findRuntime } from '../setup/runtime-folder.mjs';
import { readInstallation } from '../setup/steps.mjs';
import { chooseSource } from '../setup/wheels.mjs';

/**
 * What TensorFlow opens at its start beside libcudart, which every bundle brings; it uses no GPU where one of
 * them is missing (xla/tsl/cuda, TryDlopenCUDALibraries). The versions are those that TensorFlow 2.21 was
 * built for, CUDA 12.5.
 */
export const cudaLibraries = [
  'libcublas.so.12',
  'libcublasLt.so.12',
  'libcufft.so.11',
  'libcusolver.so.11',
  'libcusparse.so.12',
  'libcudnn.so.9',
];

/**
 * The runtime that a bundle carries, fetched into the cache if it is not there; what `npm run setup` chose
 * stays chosen.
 *
 * @param {Pick<import('./options.mjs').Options, 'gpu' | 'cuda' | 'wheel'>} options
 * @param {{ cache: string, env: Record<string, string | undefined>, report:
 *   import('../setup/report.mjs').Report }} context
 * @returns {Promise<import('../setup/runtime-folder.mjs').Runtime>}
 */
export async function obtainBundledRuntime({ gpu, cuda, wheel }, { cache, env, report }) {
  const installed = readInstallation().tensorflow;
  if (gpu === null && wheel === undefined && installed !== undefined) return installed;
  const variant = gpu === null ? 'cpu' : 'gpu';
  const chosen = chooseSource({ variant, wheel }, {}, undefined);
  const source = cuda === 'host' && chosen.kind !== 'folder' ? { ...chosen, cuda } : chosen;
  const obtain = async () => findRuntime(source, cache) ?? obtainRuntime(source, cache, { env, report });
  return withLock(
    join(cache, 'tensorflow.lock'),
    { onWait: (holder) => report.say(`  waiting for ${holder}`) },
    obtain,
  );
}

/**
 * Copies of the libraries with one GPU generation's machine code.
 *
 * @param {readonly { path: string, file: string }[]} entries
 * @param {number} gpu
 * @param {{ python: string, folder: string, report: import('../setup/report.mjs').Report }} context
 * @returns {Promise<{ path: string, file: string }[]>}
 */
export async function pruneLibraries(entries, gpu, { python, folder, report }) {
  const script = new URL('prune-fatbin.py', import.meta.url).pathname;
  const pruned = [];
  let dropped = 0;
  for (const [index, { path, file }] of entries.entries()) {
    report.progress(`  pruning to sm_${gpu}: ${index} of ${entries.length} libraries`);
    if (!/\.so[.\d]*$/.test(path)) {
      pruned.push({ path, file });
      continue;
    }
    const copy = join(folder, path);
    const printed = await mustRun(python, [script, file, copy, String(gpu)], {
      doing: `Pruning ${file}`,
      remedy: 'Check that the disk has room for a copy of the libraries.',
    });
    dropped += JSON.parse(printed).dropped;
    pruned.push({ path, file: existsSync(copy) ? copy : file });
  }
  report.say(`  pruned to sm_${gpu}: ${formatBytes(dropped)} are zeros now`);
  return pruned;
}
