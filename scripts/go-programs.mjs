import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeError, SetupError } from './setup/errors.mjs';
import { link, makeFolder, readJson, replaceFolder } from './setup/files.mjs';
import { withLock } from './setup/lock.mjs';
import { cacheFolder } from './setup/places.mjs';
import { createReport, formatDuration } from './setup/report.mjs';
import { endOnSignals, mustRun, runCommand } from './setup/run-command.mjs';

/**
 * What programs.json of a Go module may say.
 *
 * @typedef {object} Module
 * @property {string[]} packages as `go build` takes them; `tool` is what go.mod lists as such
 * @property {string} [versioned] the module whose version the programs report, as Kubernetes' do
 * @property {string[]} [unoptimised] what need not be fast, as patterns of packages
 * @property {Record<string, string[]>} [links] other names of a program
 */

/** Whether this machine can build Go programs. */
export async function hasGo() {
  return (await runCommand('go', ['version'])).code === 0;
}

/**
 * Builds the programs of a Go module, pinned by its go.sum, unless the cache has them.
 *
 * @param {string} folder of the module
 * @param {import('./setup/report.mjs').Report} report
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<string>} the folder of the programs
 */
export async function buildGoPrograms(folder, report, env = process.env) {
  const cache = cacheFolder(env);
  const name = `go-${basename(dirname(resolve(folder)))}-${basename(resolve(folder))}`;
  const built = join(cache, `${name}-${await digest(folder)}`);
  const isBuilt = () => statSync(built, { throwIfNoEntry: false }) !== undefined;
  if (isBuilt()) return built;
  await withLock(
    join(cache, `${name}.lock`),
    { onWait: (holder) => report.say(`  waiting for ${holder}, which builds ${name}`) },
    async () => {
      if (!isBuilt()) await build(folder, built, report);
    },
  );
  return built;
}

/**
 * @param {string} folder
 * @param {string} built
 * @param {import('./setup/report.mjs').Report} report
 */
async function build(folder, built, report) {
  /** @type {Module} */
  const { packages, versioned, unoptimised = [], links = {} } = readJson(join(folder, 'programs.json'));
  const incoming = mkdtempSync(join(dirname(built), '.incoming-'));
  const began = Date.now();
  report.say(`building the Go programs of ${folder}, once; a whole Kubernetes takes about ten minutes`);
  try {
    const flags = ['-s', '-w', ...(versioned ? await versionFlags(folder, versioned) : [])].join(' ');
    // Optimising is an eighth to a quarter of the time in which a package is built (bench/LOG.md).
    const plainly = unoptimised.map((pattern) => `-gcflags=${pattern}=-N -l`);
    const choice = ['-trimpath', ...plainly, `-ldflags=${flags}`];
    await mustRun('go', ['build', ...choice, '-o', `${incoming}/`, ...packages], {
      cwd: folder,
      env: { CGO_ENABLED: '0' },
      doing: `Building the Go programs of ${folder}`,
      remedy: 'They need Go, its module proxy and 4 GB of memory.',
    });
    for (const [program, others] of Object.entries(links)) {
      for (const other of others) link(join(incoming, other), program);
    }
    replaceFolder(incoming, built);
  } finally {
    rmSync(incoming, { recursive: true, force: true });
  }
  report.say(`built ${built} (${formatDuration(Date.now() - began)})`);
}

/**
 * @param {string} folder
 * @param {string} module
 */
async function versionFlags(folder, module) {
  const version = (
    await mustRun('go', ['list', '-m', '-f', '{{.Version}}', module], {
      cwd: folder,
      doing: `Reading the version of ${module}`,
      remedy: 'Check go.mod.',
    })
  ).trim();
  const [, major, minor] = /^v(\d+)\.(\d+)\./.exec(version) ?? [];
  const set = (/** @type {string} */ name, /** @type {string | undefined} */ value) =>
    `-X k8s.io/component-base/version.${name}=${value}`;
  return [set('gitVersion', version), set('gitMajor', major), set('gitMinor', minor)];
}

/**
 * Of all that the programs are made from.
 *
 * @param {string} folder
 */
async function digest(folder) {
  const hash = createHash('sha256');
  for (const name of readdirSync(folder, { encoding: 'utf8', recursive: true }).sort()) {
    if (/\.(go|json|mod|sum)$/.test(name)) hash.update(`${name}\n`).update(readFileSync(join(folder, name)));
  }
  const { code, stdout } = await runCommand('go', ['env', 'GOVERSION', 'GOOS', 'GOARCH']);
  if (code !== 0) {
    throw new SetupError('There is no Go on this machine.', 'Install Go 1.26 or newer: https://go.dev/dl');
  }
  return hash.update(stdout).digest('hex').slice(0, 16);
}

/** `node scripts/go-programs.mjs FOLDER…` builds modules before they are wanted, and prints where they are. */
async function main() {
  const report = createReport(process.stderr);
  endOnSignals(() => {});
  try {
    makeFolder(cacheFolder(process.env));
    for (const folder of process.argv.slice(2)) {
      process.stdout.write(`${await buildGoPrograms(folder, report)}\n`);
    }
  } catch (error) {
    report.say(describeError(error));
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
