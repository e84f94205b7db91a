import { spawn } from 'node:child_process';
import { SetupError } from './errors.mjs';

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
const keptCharacters = 16_000;

/**
 * Runs a program to its end, without a shell and without input.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: Record<string, string | undefined> }} [options]
 * @returns {Promise<{ code: number, output: string, stdout: string }>} `code` is 127 when there is no such
 *   program; `output` is the end of both streams, `stdout` all of the one
 */
export function runCommand(command, args, { cwd, env } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let output = '';
    let stdout = '';
    const keep = (/** @type {Buffer} */ text) => {
      output = (output + text).slice(-keptCharacters);
    };
    child.stdout.on('data', (text) => {
      stdout += text;
      keep(text);
    });
    child.stderr.on('data', keep);
    child.on('error', (error) => {
      running.delete(child);
      resolve({ code: 127, output: error.message, stdout });
    });
    child.on('close', (code, signal) => {
      running.delete(child);
      resolve({
        code: code ?? 1,
        output: signal === null ? output : `${output}\nended by ${signal}`,
        stdout,
      });
    });
  });
}

/**
 * As `runCommand`, for a program that must succeed.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: Record<string, string | undefined>, doing: string, remedy: string }} options
 *   `doing` completes "… failed"
 * @returns {Promise<string>} its standard output
 */
export async function mustRun(command, args, { cwd, env, doing, remedy }) {
  const { code, output, stdout } = await runCommand(command, args, { cwd, env });
  if (code === 0) return stdout;
  const shown = `${command} ${args.join(' ')}`;
  throw new SetupError(`${doing} failed: \`${shown}\` ended with code ${code}.\n${indent(output)}`, remedy);
}

/**
 * Ends this process and whatever it still runs when a signal asks for it.
 *
 * @param {() => void} cleanUp what is done before that
 */
export function endOnSignals(cleanUp) {
  for (const [signal, number] of /** @type {const} */ ([
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ])) {
    process.once(signal, () => {
      for (const child of running) child.kill('SIGTERM');
      cleanUp();
      process.exit(128 + number);
    });
  }
}

/** @param {string} text */
function indent(text) {
  return text.trim().replace(/^/gm, '    ');
}
