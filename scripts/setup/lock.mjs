import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const beatMs = 2_000;
const silentMs = 30_000;
const retryMs = 200;

/** @type {Set<string>} */
const held = new Set();

/**
 * Runs `work` while no other process holds the lock file; waits for one that does. A lock whose holder has died, or
 * has not touched it for 30 seconds (another machine, another container), is taken over.
 *
 * @template T
 * @param {string} file
 * @param {{ onWait(holder: string): void }} listener called once if there is a wait
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(file, listener, work) {
  mkdirSync(dirname(file), { recursive: true });
  let told = false;
  while (!take(file)) {
    const holder = readHolder(file);
    if (holder !== undefined && isStale(holder, Date.now())) {
      remove(file, holder.text);
      continue;
    }
    if (!told && holder !== undefined) listener.onWait(`process ${holder.pid} on ${holder.host}`);
    told = true;
    await sleep(retryMs);
  }
  const beat = setInterval(() => {
    const now = new Date();
    utimesSync(file, now, now);
  }, beatMs);
  beat.unref();
  try {
    return await work();
  } finally {
    clearInterval(beat);
    held.delete(file);
    rmSync(file, { force: true });
  }
}

/** Gives up every lock at once; for when the process is ended. */
export function releaseLocks() {
  for (const file of held) rmSync(file, { force: true });
  held.clear();
}

/**
 * @typedef {object} Holder
 * @property {number} pid
 * @property {string} host
 * @property {number} touchedMs
 * @property {string} text
 */

/**
 * @param {Holder} holder
 * @param {number} nowMs
 * @param {{ host?: string, isAlive?: (pid: number) => boolean }} [machine]
 */
export function isStale(holder, nowMs, { host = hostname(), isAlive = processIsAlive } = {}) {
  if (nowMs - holder.touchedMs > silentMs) return true;
  return holder.host === host && !isAlive(holder.pid);
}

/** @param {string} file */
function take(file) {
  try {
    writeFileSync(file, `${process.pid} ${hostname()} ${performance.timeOrigin}\n`, { flag: 'wx' });
    held.add(file);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/**
 * @param {string} file
 * @returns {Holder | undefined}
 */
function readHolder(file) {
  try {
    const text = readFileSync(file, 'utf8');
    const [pid, host] = text.split(' ');
    return { pid: Number(pid), host: host ?? '', touchedMs: statSync(file).mtimeMs, text };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Two may find the same stale lock. Each renames what it finds and looks again: one that has renamed a fresh lock by
 * mistake puts it back.
 *
 * @param {string} file
 * @param {string} expected
 */
function remove(file, expected) {
  const aside = `${file}.stale-${process.pid}`;
  try {
    renameSync(file, aside);
    if (readFileSync(aside, 'utf8') === expected) rmSync(aside, { force: true });
    else renameSync(aside, file);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** @param {number} pid */
function processIsAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== 'ESRCH';
  }
}

/** @param {unknown} error */
function codeOf(error) {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
