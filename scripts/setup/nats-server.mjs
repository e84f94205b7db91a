import { accessSync, constants, renameSync, rmSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { makeFolder } from './files.mjs';
import { runCommand } from './run-command.mjs';

const version = '2.15.2';
const module = `github.com/nats-io/nats-server/v2@v${version}`;

const manual =
  'There is no nats-server on this machine, and no Go to build it with. Install it (Debian and Ubuntu: ' +
  '`sudo apt-get install nats-server`; macOS: `brew install nats-server`; elsewhere: https://nats.io/download), ' +
  'or set RONDO_NATS_SERVER to one, or give `coordinator start` a running one by --nats URL.';

/**
 * The nats-server that is there already: RONDO_NATS_SERVER, else on PATH, else the one that was built into
 * the cache.
 *
 * @param {Record<string, string | undefined>} env
 * @param {string} cache
 * @returns {string | null}
 */
export function findNatsServer(env, cache) {
  if (env.RONDO_NATS_SERVER) return isExecutable(env.RONDO_NATS_SERVER) ? env.RONDO_NATS_SERVER : null;
  const folders = [...(env.PATH ?? '').split(delimiter), join(cache, `nats-server-${version}`)];
  const files = folders.filter((folder) => folder !== '').map((folder) => join(folder, 'nats-server'));
  return files.find(isExecutable) ?? null;
}

/**
 * @typedef {{ how: 'build' }
 *   | { how: 'install', command: readonly string[] }
 *   | { how: 'ask', sentence: string }} Way
 */

/**
 * How to get a nats-server where there is none: built by Go, in the user's own cache, before anything that
 * changes the system; the system's package manager only where no one has to be asked.
 *
 * @param {{ go: boolean, managers: readonly string[], rootUser: boolean, sudo: boolean }} machine `managers`
 *   that are on it; `sudo` when it asks for no password
 * @returns {Way}
 */
export function chooseWay({ go, managers, rootUser, sudo }) {
  if (go) return { how: 'build' };
  if (managers.includes('brew')) return { how: 'install', command: ['brew', 'install', 'nats-server'] };
  const manager = ['apt-get', 'dnf'].find((name) => managers.includes(name));
  if (manager === undefined || !(rootUser || sudo)) return { how: 'ask', sentence: manual };
  return {
    how: 'install',
    command: [...(rootUser ? [] : ['sudo', '-n']), manager, 'install', '-y', 'nats-server'],
  };
}

/**
 * Gets a nats-server if it can.
 *
 * @param {Record<string, string | undefined>} env
 * @param {string} cache
 * @param {import('./report.mjs').Report} report
 * @returns {Promise<string | null>} where it is; null, and a sentence to the reader, when it cannot be had
 */
export async function obtainNatsServer(env, cache, report) {
  const way = chooseWay(await lookAtMachine());
  if (way.how === 'build') {
    report.say(`  building nats-server ${version} with Go`);
    const failure = await build(cache);
    if (failure !== null) report.say(`  ${failure}\n  ${manual}`);
  } else if (way.how === 'install') {
    report.say(`  ${way.command.join(' ')}`);
    const { code, output } = await runCommand(way.command[0] ?? '', way.command.slice(1));
    if (code !== 0) report.say(`  It failed: ${output.trim().split('\n').at(-1)}\n  ${manual}`);
  } else {
    report.say(`  ${way.sentence}`);
  }
  return findNatsServer(env, cache);
}

/** @param {string} cache */
async function build(cache) {
  const incoming = join(cache, `nats-server-${version}.incoming`);
  rmSync(incoming, { recursive: true, force: true });
  makeFolder(incoming);
  const { code, output } = await runCommand('go', ['install', '-trimpath', module], {
    env: { GOBIN: incoming, CGO_ENABLED: '0' },
  });
  if (code !== 0) return `Go could not build it: ${output.trim().split('\n').at(-1)}`;
  const folder = join(cache, `nats-server-${version}`);
  rmSync(folder, { recursive: true, force: true });
  renameSync(incoming, folder);
  return null;
}

async function lookAtMachine() {
  const has = async (/** @type {string} */ command, /** @type {string[]} */ ...args) =>
    (await runCommand(command, args)).code === 0;
  const rootUser = process.getuid?.() === 0;
  const managers = [];
  for (const name of ['brew', 'apt-get', 'dnf']) if (await has(name, '--version')) managers.push(name);
  return {
    go: await has('go', 'version'),
    managers,
    rootUser,
    sudo: !rootUser && (await has('sudo', '-n', 'true')),
  };
}

/** @param {string} file */
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
