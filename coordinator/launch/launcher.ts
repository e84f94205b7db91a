import { setTimeout } from 'node:timers/promises';
import { RondoError } from '../../runtime/errors.js';
import { makeFolder } from '../../runtime/make-folder.js';
import {
  indexOfLaunched,
  type Launched,
  launchWorker,
  nameLaunched,
  type TakeOverOptions,
  takeOverWorker,
  type WorkerExit,
} from './worker-process.js';

export interface LaunchOptions extends TakeOverOptions {
  readonly count: number;
  /** Workers that a coordinator started which has died since: those that still run are taken over. */
  readonly earlier?: readonly { readonly workerId: string; readonly pid: number }[];
  /** So many are looked after from now on: some were started, asked to leave, or left by themselves. */
  onCount?(count: number): void;
  /** A worker's process was started. */
  onStart?(workerId: string, pid: number): void;
  /** A worker ended badly and is started again. */
  onRestart?(error: RondoError): void;
  /** A worker ended badly and is not started again; the error names its log and has its last lines. */
  onFailure(error: RondoError): void;
}

/**
 * Worker processes on this machine. One that ends badly is started again, ever later; one that does so at
 * once three times is given up. `close` and `destroy` are safe to call twice.
 */
export interface LocalWorkers {
  /** Of those that run. */
  readonly pids: number[];
  /** Of those that are not asked to end, whether they run or are about to be started again. */
  readonly workerIds: readonly string[];
  /**
   * Starts workers, or has those with the highest numbers leave (SIGTERM), until so many are left.
   *
   * @throws RondoError failed-precondition when none is started any more; what the system says when one cannot
   *   be started.
   */
  scale(count: number): { readonly starting: readonly string[]; readonly stopping: readonly string[] };
  /** From now on none is started again; resolves with how each ended last, in order of their ids. Never rejects. */
  exited(): Promise<readonly WorkerExit[]>;
  /** SIGTERM, then SIGKILL after `graceMs`; resolves when all have exited. */
  close(graceMs: number): Promise<void>;
  /** They outlive this process, which is about to exit. */
  leave(): void;
  /** SIGKILL. */
  destroy(): void;
}

/** A worker that has lived this long did not end at once. */
const atOnceMs = 10_000;
/** So many times in a row. */
const mostAtOnce = 3;
/** The others take a step first: starting a process would hold it up where cores are few. */
const firstDelayMs = 2_000;
const longestDelayMs = 8_000;

/**
 * Starts worker-0 … worker-(count−1), each in a process group of its own: a terminal's Ctrl-C reaches the
 * coordinator alone, which then ends them in order.
 *
 * @throws RondoError when a log cannot be written; nothing is left running then.
 */
export function launchWorkers(options: LaunchOptions): LocalWorkers {
  const running = new Map<number, Launched['child']>();
  /** By index, of those that are looked after; aborts to let one end. */
  const supervised = new Map<number, AbortController>();
  const endings = new Map<number, Promise<WorkerExit>>();
  const ending = new AbortController();
  const kill = (signal: NodeJS.Signals) => {
    ending.abort();
    // By child, not by bare pid: Node knows when the process is gone and its number may be another's.
    for (const child of running.values()) child.kill(signal);
  };
  const destroy = () => kill('SIGKILL');
  const run = (index: number, launched: Launched): Launched => {
    const { child } = launched;
    running.set(index, child);
    if (child.pid !== undefined) options.onStart?.(nameLaunched(index), child.pid);
    return launched;
  };
  const launch = (index: number): Launched => run(index, launchWorker(options, index));
  const supervise = async (index: number, first: Launched, released: AbortSignal): Promise<WorkerExit> => {
    const signal = AbortSignal.any([ending.signal, released]);
    let launched = first;
    for (let atOnce = 0, delayMs = firstDelayMs; ; delayMs = Math.min(2 * delayMs, longestDelayMs)) {
      const startedMs = performance.now();
      const { error, ...exit } = await launched.exit;
      running.delete(index);
      if (error === null || signal.aborted) return exit;
      const isAtOnce = performance.now() - startedMs < atOnceMs;
      if (!isAtOnce) delayMs = firstDelayMs;
      atOnce = isAtOnce ? atOnce + 1 : 0;
      if (atOnce === mostAtOnce) {
        options.onFailure(error);
        return exit;
      }
      options.onRestart?.(error);
      await setTimeout(delayMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return exit;
      try {
        launched = launch(index);
      } catch (thrown) {
        options.onFailure(RondoError.from(thrown));
        return exit;
      }
    }
  };
  const look = (index: number, launched: Launched) => {
    const release = new AbortController();
    if (supervised.size === 0) process.once('exit', destroy);
    supervised.set(index, release);
    const ended = supervise(index, launched, release.signal).finally(() => {
      supervised.delete(index);
      if (supervised.size === 0) process.removeListener('exit', destroy);
      if (!ending.signal.aborted && !release.signal.aborted) options.onCount?.(staying().length);
    });
    endings.set(index, ended);
  };
  const start = (index: number) => look(index, launch(index));
  const staying = () =>
    [...supervised]
      .flatMap(([index, { signal }]) => (signal.aborted ? [] : [index]))
      .toSorted((a, b) => a - b);
  const allEnded = () => Promise.all([...endings].toSorted(([a], [b]) => a - b).map(([, ended]) => ended));

  const scale: LocalWorkers['scale'] = (count) => {
    if (ending.signal.aborted) {
      throw new RondoError('failed-precondition', 'the run is ending: its workers are no longer started');
    }
    const before = staying();
    const stopping = before.slice(count);
    const starting: number[] = [];
    for (let index = 0; before.length + starting.length < count; index += 1) {
      // One that was asked to leave may still be on its way out.
      if (!supervised.has(index)) starting.push(index);
    }
    options.onCount?.(count);
    for (const index of stopping) {
      supervised.get(index)!.abort();
      running.get(index)?.kill('SIGTERM');
    }
    for (const index of starting) start(index);
    return { starting: starting.map(nameLaunched), stopping: stopping.map(nameLaunched) };
  };

  try {
    makeFolder(options.logDir);
    for (const { workerId, pid } of options.earlier ?? []) {
      const index = indexOfLaunched(workerId);
      const left = takeOverWorker(options, index, pid);
      if (left !== null) look(index, run(index, left));
    }
    scale(options.count);
  } catch (error) {
    destroy();
    throw RondoError.from(error);
  }

  return {
    scale,
    get pids() {
      return [...running.values()].flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
    },
    get workerIds() {
      return staying().map(nameLaunched);
    },
    exited() {
      ending.abort();
      return allEnded();
    },
    async close(graceMs) {
      kill('SIGTERM');
      const timer = globalThis.setTimeout(destroy, graceMs);
      await allEnded();
      clearTimeout(timer);
    },
    leave() {
      process.removeListener('exit', destroy);
    },
    destroy,
  };
}
