import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { programEntries, runtimeEntries } from './bundle/contents.mjs';
import { help, parseOptions } from './bundle/options.mjs';
import { cudaLibraries, obtainBundledRuntime, pruneLibraries } from './bundle/runtime.mjs';
import { describeError, SetupError } from './setup/errors.mjs';
import { makeFolder, writeJson } from './setup/files.mjs';
import { cacheFolder, root } from './setup/places.mjs';
import { findPython } from './setup/python.mjs';
import { createReport, formatBytes, formatDuration } from './setup/report.mjs';
import { endOnSignals } from './setup/run-command.mjs';
import { readInstallation } from './setup/steps.mjs';
import { tensorflowVersion } from './setup/wheels.mjs';

const report = createReport(process.stderr);
const machines = { x64: 'x86_64', arm64: 'aarch64' };

/** @param {string[]} args */
async function main(args) {
  const options = parseOptions(args);
  if (options.help) {
    process.stdout.write(help);
    return;
  }
  const { out, gpu, cuda } = options;
  requireEmpty(out);
  const env = process.env;
  const python = await findPython(env);
  const runtime = await obtainBundledRuntime(options, { cache: cacheFolder(env), env, report });
  makeFolder(out);
  const working = mkdtempSync(join(out, '.working-'));
  unfinished = out;
  try {
    const libraries = runtimeEntries(runtime);
    const pruned =
      gpu === null ? libraries : await pruneLibraries(libraries, gpu, { python, folder: working, report });
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const about = {
      format: 1,
      version,
      node: process.version,
      tensorflow: tensorflowVersion,
      machine: machines[/** @type {keyof typeof machines} */ (process.arch)] ?? process.arch,
      gpu: gpu === null ? null : `sm_${gpu}`,
      cuda: gpu === null ? null : cuda,
      cudaLibraries: gpu === null ? [] : cudaLibraries,
    };
    const note = { path: 'bundle.json', text: `${JSON.stringify(about, null, 2)}\n` };
    const programs = programEntries({ natsServer: readInstallation().natsServer ?? null });
    const packed = await pack(python, [...programs, ...pruned, note], options);
    writeJson(join(out, 'bundle.json'), { ...about, ...packed });
    copyFileSync(new URL('bundle/unpack.py', import.meta.url), join(out, 'unpack.py'));
    rmSync(working, { recursive: true });
    unfinished = undefined;
    sayDone(out, packed.pieces);
  } finally {
    removeUnfinished();
  }
}

/** @param {string} folder */
function requireEmpty(folder) {
  try {
    if (readdirSync(folder).length === 0) return;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return;
    throw error;
  }
  throw new SetupError(`${folder} is not empty.`, 'Name another folder by --out, or empty this one.');
}

/**
 * @param {string} python
 * @param {readonly import('./bundle/contents.mjs').Entry[]} entries
 * @param {Pick<import('./bundle/options.mjs').Options, 'out' | 'pieceBytes' | 'fast'>} options
 * @returns {Promise<{ streams: [number, number][], pieces: { name: string, bytes: number, sha256: string }[]
 *   }>}
 */
async function pack(python, entries, { out, pieceBytes, fast }) {
  const script = new URL('bundle/pack.py', import.meta.url).pathname;
  const child = spawn(python, [script, out, String(pieceBytes), fast ? '0' : '6'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  packing = child;
  child.stdin.on('error', () => {}); // an early end is told by its exit code
  child.stdin.end(JSON.stringify(entries));
  const began = Date.now();
  let last = '';
  for await (const line of createInterface({ input: child.stdout })) {
    last = line;
    const [done, total] = line.split(' ').map(Number);
    if (done === undefined || total === undefined || !(done > 0)) continue;
    const leftMs = ((Date.now() - began) * (total - done)) / done;
    report.progress(
      `  compressed ${formatBytes(done)} of ${formatBytes(total)}, ${formatDuration(leftMs)} left`,
    );
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  report.endProgress();
  if (child.exitCode === 0) return JSON.parse(last);
  throw new SetupError('Packing failed.', `Check that ${out} has room; what was packed is removed.`);
}

/**
 * @param {string} out
 * @param {readonly { bytes: number }[]} pieces
 */
function sayDone(out, pieces) {
  const bytes = pieces.reduce((sum, piece) => sum + piece.bytes, 0);
  const time = formatDuration(performance.now());
  report.say(`bundle: ${pieces.length} pieces, ${formatBytes(bytes)}, in ${out} (${time})`);
  report.say(`Carry the whole folder; on the other machine: python3 unpack.py rondo`);
}

/** @type {import('node:child_process').ChildProcess | undefined} */
let packing;
/** The folder of a bundle that is not whole yet. @type {string | undefined} */
let unfinished;

function removeUnfinished() {
  if (unfinished === undefined) return;
  for (const name of readdirSync(unfinished))
    rmSync(join(unfinished, name), { recursive: true, force: true });
}

endOnSignals(() => {
  packing?.kill('SIGKILL');
  removeUnfinished();
});
await main(process.argv.slice(2)).catch((error) => {
  report.say(`bundle: ${describeError(error)}`);
  process.exitCode = 1;
});
