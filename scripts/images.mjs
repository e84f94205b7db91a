import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { runtimeEntries } from './bundle/contents.mjs';
import { obtainBundledRuntime, pruneLibraries } from './bundle/runtime.mjs';
import { importBase } from './images/base.mjs';
import { imageEntries, layOut } from './images/layout.mjs';
import { help, parseOptions } from './images/options.mjs';
import { describeError, SetupError } from './setup/errors.mjs';
import { makeFolder } from './setup/files.mjs';
import { cacheFolder, root } from './setup/places.mjs';
import { findPython } from './setup/python.mjs';
import { createReport, formatDuration } from './setup/report.mjs';
import { endOnSignals, mustRun, runCommand } from './setup/run-command.mjs';
import { readInstallation } from './setup/steps.mjs';

const report = createReport(process.stderr);
/** The build's context, removed however this ends. @type {string | undefined} */
let context;

/** @param {string[]} args */
async function main(args) {
  const options = parseOptions(args);
  if (options.help) {
    process.stdout.write(help);
    return;
  }
  const { natsServer } = readInstallation();
  if (!natsServer) throw new SetupError('There is no nats-server.', 'Run `npm run setup`.');
  const engine = await chooseEngine(options.engine);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  // Beside the cache, so that libraries are linked, not copied.
  const cache = cacheFolder(process.env);
  makeFolder(cache);
  context = mkdtempSync(join(existsSync(cache) ? cache : tmpdir(), '.images-'));
  const base = options.debootstrap ? await importBase(engine, context, report) : options.base;
  const sbom = await writeSbom();
  if (options.images.includes('worker')) await layOutRuntime(options, context);
  for (const image of options.images) {
    const began = Date.now();
    layOut(join(context, image), [
      ...imageEntries(image, natsServer),
      { path: 'sbom.spdx.json', text: sbom },
    ]);
    const name = `${options.prefix}/${image}${image === 'worker' && options.gpu !== null ? '-cuda' : ''}:${version}`;
    report.say(`images: building ${name} …`);
    await mustRun(
      engine.command,
      [
        ...[...engine.args, 'build', ...engine.buildArgs, '--target', image, '--tag', name],
        ...(base === undefined ? [] : ['--build-arg', `BASE=${base}`]),
        ...['--build-arg', `VERSION=${version}`, '--build-arg', `SBOM_DIGEST=sha256:${sha256(sbom)}`],
        ...['--file', join(root, 'deploy/images/Dockerfile'), context],
      ],
      { doing: `Building ${name}`, remedy: 'Where no registry is reached, give --debootstrap or --base.' },
    );
    if (options.out !== undefined) await save(engine, name, options.out);
    report.say(`images: ${name} (${formatDuration(Date.now() - began)})`);
  }
}

/**
 * @param {import('./images/options.mjs').Options} options
 * @param {string} folder
 */
async function layOutRuntime({ gpu }, folder) {
  const generation = typeof gpu === 'number' ? gpu : null;
  const chosen = { gpu: gpu === null ? null : (generation ?? 0), cuda: /** @type {const} */ ('bundled') };
  const runtime = await obtainBundledRuntime(
    { ...chosen, wheel: undefined },
    { cache: cacheFolder(process.env), env: process.env, report },
  );
  const libraries = runtimeEntries(runtime);
  const pruning = { python: await findPython(process.env), folder: join(folder, 'pruned'), report };
  const entries = generation === null ? libraries : await pruneLibraries(libraries, generation, pruning);
  // The Dockerfile copies it as a layer of its own.
  layOut(
    join(folder, 'runtime'),
    entries.map((entry) => ({ ...entry, path: entry.path.replace(/^runtime\//, '') })),
  );
}

/** Of the packages that the lock file pins and the programs need. */
async function writeSbom() {
  return mustRun('npm', ['sbom', '--sbom-format', 'spdx', '--omit', 'dev', '--package-lock-only'], {
    cwd: root,
    doing: 'Listing the packages',
    remedy: 'It needs npm 9.7 or newer.',
  });
}

/** @param {string} text */
function sha256(text) {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * @typedef {object} Engine
 * @property {string} command
 * @property {string[]} args
 * @property {string[]} buildArgs
 */

/**
 * @param {string | undefined} wanted
 * @returns {Promise<Engine>}
 */
async function chooseEngine(wanted) {
  for (const command of wanted === undefined ? ['podman', 'docker'] : [wanted]) {
    if ((await runCommand(command, ['--version'])).code !== 0) continue;
    if (command === 'docker') return { command, args: [], buildArgs: [] };
    // crun refuses machines whose control groups are of both versions; runc does not.
    const runc = existsSync('/usr/sbin/runc') ? ['--runtime', '/usr/sbin/runc'] : [];
    // OCI's format has no health command.
    return { command, args: runc, buildArgs: ['--format', 'docker', '--network', 'host'] };
  }
  throw new SetupError(
    `There is no ${wanted ?? 'podman and no docker'} on this machine.`,
    'Install one (Debian and Ubuntu: `apt-get install podman runc`).',
  );
}

/**
 * @param {Engine} engine
 * @param {string} name
 * @param {string} out
 */
async function save(engine, name, out) {
  makeFolder(resolve(out));
  const file = join(resolve(out), `${name.split('/').at(-1)?.replace(':', '-')}.tar`);
  rmSync(file, { force: true });
  const format = engine.command === 'podman' ? ['--format', 'docker-archive'] : [];
  await mustRun(engine.command, [...engine.args, 'save', ...format, '--output', file, name], {
    doing: `Writing ${file}`,
    remedy: 'Check that the disk has room.',
  });
}

function cleanUp() {
  if (context !== undefined) rmSync(context, { recursive: true, force: true });
}

endOnSignals(cleanUp);
await main(process.argv.slice(2))
  .catch((error) => {
    report.say(`images: ${describeError(error)}`);
    process.exitCode = 1;
  })
  .finally(cleanUp);
