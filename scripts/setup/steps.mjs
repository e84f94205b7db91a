import { join } from 'node:path';
import { bindingDigest, bindingIsBuilt, buildBinding } from './binding.mjs';
import { compile, compileDigest, programsAreCompiled } from './compile.mjs';
import { readJson, writeJson } from './files.mjs';
import { withLock } from './lock.mjs';
import { findNatsServer, obtainNatsServer } from './nats-server.mjs';
import { installPackages, packagesAreThere, packagesDigest, packagesMatchLock } from './packages.mjs';
import { installationFile } from './places.mjs';
import { generateProtocols, protocolsAreGenerated, protocolsDigest } from './protocols.mjs';
import { obtainRuntime } from './runtime.mjs';
import { findRuntime } from './runtime-folder.mjs';

/**
 * One job of the set-up. `isDone` is quick; `run` does the job and says in a few words what it has done, or
 * null when it could do nothing and has said why.
 *
 * @typedef {object} Step
 * @property {string} name
 * @property {readonly string[]} after names of the steps whose results it needs
 * @property {() => boolean} isDone
 * @property {() => Promise<string | null>} run
 */

/**
 * @param {object} context
 * @param {import('./wheels.mjs').Source} context.source
 * @param {string} context.cache
 * @param {Record<string, string | undefined>} context.env
 * @param {ReturnType<typeof import('./stamps.mjs').openStamps>} context.stamps
 * @param {import('./report.mjs').Report} context.report
 * @returns {Step[]} each after those it needs
 */
export function listSteps({ source, cache, env, stamps, report }) {
  /** Other copies of the repository fill the same cache. */
  const inCache = (/** @type {string} */ what, /** @type {() => Promise<any>} */ work) =>
    withLock(
      join(cache, `${what}.lock`),
      { onWait: (holder) => report.say(`  ${what}: waiting for ${holder}, which fills ${cache}`) },
      work,
    );
  return [
    {
      name: 'packages',
      after: [],
      isDone: () => packagesAreThere() && stamps.matches('packages', packagesDigest()),
      async run() {
        const there = packagesMatchLock();
        const count = there ? 0 : await installPackages();
        stamps.write('packages', packagesDigest());
        return there ? 'the locked versions are installed' : `installed ${count} packages`;
      },
    },
    {
      name: 'tensorflow',
      after: [],
      isDone: () => isSame(readInstallation().tensorflow, { source, ...findRuntime(source, cache) }),
      async run() {
        const obtain = async () => {
          const found = findRuntime(source, cache);
          if (found !== undefined || source.kind === 'folder') return found;
          return obtainRuntime(source, cache, { env, report });
        };
        const runtime = await inCache('tensorflow', obtain);
        writeJson(installationFile, { ...readInstallation(), tensorflow: { source, ...runtime } });
        return `the runtime is in ${runtime.libraries}`;
      },
    },
    {
      name: 'binding',
      after: ['packages', 'tensorflow'],
      isDone() {
        const runtime = readInstallation().tensorflow;
        return (
          runtime !== undefined &&
          bindingIsBuilt(runtime) &&
          stamps.matches('binding', bindingDigest(runtime))
        );
      },
      async run() {
        const runtime = readInstallation().tensorflow;
        const version = await buildBinding(runtime, env);
        stamps.write('binding', bindingDigest(runtime));
        return `built for TensorFlow ${version}`;
      },
    },
    {
      name: 'protocols',
      after: ['packages'],
      isDone: () => protocolsAreGenerated() && stamps.matches('protocols', protocolsDigest()),
      async run() {
        await generateProtocols();
        stamps.write('protocols', protocolsDigest());
        return 'generated';
      },
    },
    {
      name: 'nats-server',
      after: [],
      isDone() {
        const found = findNatsServer(env, cache);
        return found !== null && readInstallation().natsServer === found;
      },
      async run() {
        const obtain = async () => findNatsServer(env, cache) ?? obtainNatsServer(env, cache, report);
        const natsServer = findNatsServer(env, cache) ?? (await inCache('nats-server', obtain));
        writeJson(installationFile, { ...readInstallation(), natsServer });
        return natsServer;
      },
    },
    {
      name: 'programs',
      after: ['protocols'],
      isDone: () => programsAreCompiled() && stamps.matches('programs', compileDigest()),
      async run() {
        const digest = compileDigest();
        const count = await compile();
        stamps.write('programs', digest);
        return `compiled ${count} files`;
      },
    },
  ];
}

/**
 * @returns {{ tensorflow?: import('./runtime-folder.mjs').Runtime & { source: import('./wheels.mjs').Source
 *   }, natsServer?: string | null }}
 */
export function readInstallation() {
  return readJson(installationFile) ?? {};
}

/**
 * @param {unknown} one
 * @param {unknown} other
 */
function isSame(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}
