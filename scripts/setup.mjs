import { join } from 'node:path';
import { describeError } from './setup/errors.mjs';
import { withLock } from './setup/lock.mjs';
import { help, parseOptions } from './setup/options.mjs';
import { cacheFolder, stateFolder } from './setup/places.mjs';
import { createReport, formatDuration } from './setup/report.mjs';
import { endOnSignals } from './setup/run-command.mjs';
import { openStamps } from './setup/stamps.mjs';
import { listSteps, readInstallation } from './setup/steps.mjs';
import { chooseSource } from './setup/wheels.mjs';

const report = createReport(process.stderr);

/** @param {string[]} args */
async function main(args) {
  const options = parseOptions(args);
  if (options.help) {
    process.stdout.write(help);
    return;
  }
  const context = {
    source: chooseSource(options, process.env, readInstallation().tensorflow?.source),
    cache: cacheFolder(process.env),
    env: process.env,
    report,
  };
  const steps = () => listSteps({ ...context, stamps: openStamps(join(stateFolder, 'stamps.json')) });
  if (steps().every((step) => step.isDone())) {
    const before = process.env.npm_lifecycle_event?.startsWith('pre') === true;
    if (!before) report.say(`setup: nothing to do (${formatDuration(performance.now())})`);
    return;
  }
  const waiting = { onWait: (/** @type {string} */ holder) => report.say(`setup: waiting for ${holder}`) };
  await withLock(join(stateFolder, 'setup.lock'), waiting, () => runSteps(steps()));
}

/**
 * Runs what is not done, each step as soon as those it needs are: a download, npm and a compiler keep each
 * other company. One that fails lets the others end, for their results will be wanted.
 *
 * @param {import('./setup/steps.mjs').Step[]} steps
 */
async function runSteps(steps) {
  const began = performance.now();
  /** @type {Map<string, Promise<boolean>>} */
  const outcomes = new Map();
  for (const step of steps) {
    const needed = step.after.map((name) => outcomes.get(name));
    outcomes.set(
      step.name,
      Promise.all(needed).then((results) => results.every((good) => good !== false) && runStep(step)),
    );
  }
  const all = await Promise.all(outcomes.values());
  const time = formatDuration(performance.now() - began);
  if (all.every(Boolean)) report.say(`setup: everything is in place (${time})`);
}

/**
 * @param {import('./setup/steps.mjs').Step} step
 * @returns {Promise<boolean>} whether it went well
 */
async function runStep(step) {
  if (step.isDone()) return true;
  const began = performance.now();
  report.say(`setup: ${step.name} …`);
  try {
    const done = await step.run();
    if (done !== null)
      report.say(`setup: ${step.name}: ${done} (${formatDuration(performance.now() - began)})`);
    return done !== null;
  } catch (error) {
    fail(error);
    return false;
  }
}

/** @param {unknown} error */
function fail(error) {
  report.say(`setup: ${describeError(error)}`);
  process.exitCode = 1;
}

endOnSignals(() => {});
await main(process.argv.slice(2)).catch(fail);
