import { execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { network, type Place } from './place.js';

/** Runs a command to its end and gives its standard output. Throws with what it printed when it fails. */
export function run(command: string, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { maxBuffer: 1 << 27 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else
        reject(new Error(`${command} ${args.join(' ')}: ${stderr.trim() || stdout.trim() || error.message}`));
    });
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}

/** As `run`, for what may fail. */
export async function attempt(command: string, ...args: readonly string[]): Promise<string | null> {
  try {
    return await run(command, args);
  } catch {
    return null;
  }
}

/** Only the network namespace changes: `ip netns exec` would hide the control groups. */
export function inNamespace(command: string, args: readonly string[]): [string, string[]] {
  return ['nsenter', [`--net=/run/netns/${network.namespace}`, command, ...args]];
}

/** Starts a program of the cluster in its namespace, with a log and a file of its pid, by which it is ended. */
export function start(place: Place, name: string, command: string, args: readonly string[]): void {
  const log = openSync(path.join(place.folder, `${name}.log`), 'a');
  const child = spawn(...inNamespace(command, args), {
    cwd: place.folder,
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, PATH: `${place.programs}:${process.env.PATH}` },
  });
  closeSync(log);
  child.unref();
  child.on('error', () => {});
  writeFileSync(path.join(place.folder, `${name}.pid`), `${child.pid}`);
}

/** Ends a program that `start` began, if it still runs: the pid's command line must be its. */
export async function end(place: Place, name: string, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  const file = path.join(place.folder, `${name}.pid`);
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, 'utf8'));
  const isIt = () => commandLine(pid).includes(name);
  if (isIt()) process.kill(pid, signal);
  for (let tries = 0; isIt() && tries < 100; tries += 1) await sleep(100);
  if (isIt()) process.kill(pid, 'SIGKILL');
  rmSync(file);
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

/** Waits until `condition` holds; one that throws does not hold yet. Throws with the last reason. */
export async function waitFor<T>(
  what: string,
  condition: () => Promise<T | undefined | false>,
  { withinMs = 300_000, everyMs = 500 } = {},
): Promise<T> {
  const deadline = Date.now() + withinMs;
  let reason = '';
  for (;;) {
    try {
      const result = await condition();
      if (result !== undefined && result !== false) return result;
      reason = '';
    } catch (error) {
      reason = `: ${(error as Error).message}`;
    }
    if (Date.now() > deadline)
      throw new Error(`gave up waiting for ${what} after ${withinMs / 1_000} s${reason}`);
    await sleep(everyMs);
  }
}
