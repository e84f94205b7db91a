import { setTimeout as sleep } from 'node:timers/promises';
import { RondoError } from '../../runtime/errors.js';
import { type ControlConnection, connectControl } from '../cluster/control.js';
import { relayVariable } from '../launch/worker-environment.js';
import { readControlFile } from '../run-store/control-file.js';
import type { RunDirectory } from '../run-store/run-directory.js';
import type { ChaosEvent } from './chaos-events.js';
import { type CoordinatorProcess, startCoordinator } from './coordinator-process.js';
import type { PlannedFault } from './faults.js';
import type { Moment } from './figures.js';
import { type Injector, inject } from './injection.js';
import type { Relay } from './relay.js';
import type { WatchedEvent } from './run-events.js';

export interface FollowOptions {
  readonly run: 'undisturbed' | 'disturbed';
  readonly directory: RunDirectory;
  /** This program, as `process.argv` names it. */
  readonly program: string;
  /** Of `coordinator start`, for the new run and for one that is resumed. */
  readonly inputs: { readonly start: readonly string[]; readonly resume: readonly string[] };
  readonly workers: number;
  /** Stands between workers and coordinator, and is closed with the run; null for none. */
  readonly relay: Relay | null;
  /** Told how many steps the run has, once that is known. */
  planFaults(steps: number): readonly PlannedFault[];
  report(event: ChaosEvent): void;
  readonly signal: AbortSignal;
}

export interface Followed {
  readonly moments: readonly Moment[];
  /** Of all workers that were seen. */
  readonly pids: ReadonlySet<number>;
  /** HOST:PORT of every coordinator, and of the relay. */
  readonly addresses: readonly string[];
}

/** A command to the coordinator takes no longer, unless it is dead. */
const answerMs = 10_000;
const watchMs = 1_000;
/** For a run that is told to end to save its state; then it is told to end at once. */
const endMs = 20_000;

/**
 * Runs `coordinator start` to its end, with faults on its way; after its death it is resumed.
 *
 * @throws RondoError the run's own error when it fails, or the signal's reason; nothing is left running then.
 */
export async function followRun(o: FollowOptions): Promise<Followed> {
  const { directory, program, signal, relay } = o;
  const environment: Record<string, string> = relay === null ? {} : { [relayVariable]: relay.address };
  const startMs = performance.now();
  const secondsOf = (atMs: number) => (atMs - startMs) / 1_000;
  const moments: Moment[] = [];
  const pids = new Set<number>();
  const addresses: string[] = relay === null ? [] : [relay.address];
  const stopped = new Set<number>();
  /** Taken at some time, though they may be taken again; those of the plan; and how long one takes. */
  let [steps, totalSteps, usualStepMs] = [0, 0, 0];
  let pending: readonly PlannedFault[] | null = null;
  let isInjecting = false;
  /** How long the coordinator is to stay away, once it was killed. */
  let awaySeconds: number | null = null;
  let connection: ControlConnection | null = null;

  const connect = () => {
    connection ??= connectControl(readControlFile(directory), answerMs);
    return connection;
  };
  const disconnect = () => {
    connection?.close();
    connection = null;
  };
  const resumeProcess = (pid: number) => {
    if (!stopped.delete(pid)) return;
    try {
      process.kill(pid, 'SIGCONT');
    } catch {
      // It was killed meanwhile.
    }
  };
  const injector = (): Injector => ({
    ...{ connection: connect(), workers: o.workers, signal },
    killCoordinator(seconds) {
      awaySeconds = seconds;
      disconnect();
      coordinator.kill('SIGKILL');
    },
    stop(pid, seconds) {
      process.kill(pid, 'SIGSTOP');
      stopped.add(pid);
      setTimeout(() => resumeProcess(pid), 1_000 * seconds).unref();
    },
    cutOff(pid, { seconds, oneWay }) {
      if (relay === null)
        throw new RondoError('failed-precondition', 'nothing stands before the coordinator');
      setTimeout(relay.cutOff(pid, { oneWay }), 1_000 * seconds).unref();
    },
  });
  const disturb = async (fault: PlannedFault) => {
    await sleep(fault.within * usualStepMs, undefined, { signal });
    const atMs = performance.now();
    const { kind } = fault;
    try {
      const { worker, workers } = await inject(fault, injector());
      moments.push({ atMs, what: 'fault', kind, worker });
      const { seconds: lasts, oneWay } = fault;
      const said = { kind: 'fault', fault: kind, worker, workers, lasts, oneWay, steps } as const;
      o.report({ ...said, seconds: secondsOf(atMs) });
    } catch (thrown) {
      disconnect();
      const { message: reason } = RondoError.from(thrown);
      o.report({ kind: 'left-out', fault: kind, reason, seconds: secondsOf(atMs) });
    }
  };
  const considerFault = () => {
    const [fault] = pending ?? [];
    if (fault === undefined || steps < fault.afterStep || isInjecting || awaySeconds !== null) return;
    pending = pending!.slice(1);
    isInjecting = true;
    disturb(fault)
      .catch(() => {})
      .finally(() => {
        isInjecting = false;
      });
  };
  const hear = (event: WatchedEvent) => {
    const atMs = performance.now();
    moments.push({ atMs, what: 'event', event });
    if (event.kind === 'prepared') {
      totalSteps = event.epochs * event.stepsPerEpoch;
      pending ??= o.planFaults(totalSteps);
    }
    if (event.kind === 'waiting') {
      addresses.push(event.address);
      relay?.leadTo(event.address);
    }
    if (event.kind === 'step') {
      steps = Math.max(steps, event.step + 1);
      usualStepMs = 1_000 * event.seconds;
      o.report({ kind: 'progress', run: o.run, steps, totalSteps, seconds: secondsOf(atMs) });
      considerFault();
    } else o.report({ kind: 'said', event, seconds: secondsOf(atMs) });
  };
  const watch = setInterval(() => {
    if (steps === 0 || awaySeconds !== null) return;
    Promise.resolve()
      .then(() => connect().status())
      .then(({ members }) => {
        for (const { pid } of members) pids.add(pid);
      })
      .catch(disconnect);
  }, watchMs);

  let coordinator: CoordinatorProcess = startCoordinator(program, o.inputs.start, environment, hear);
  let endTimer: NodeJS.Timeout | undefined;
  const end = () => {
    for (const pid of stopped) resumeProcess(pid);
    coordinator.kill('SIGTERM');
    endTimer = setTimeout(() => coordinator.kill('SIGTERM'), endMs);
  };
  const endAtOnce = () => {
    for (const pid of stopped) resumeProcess(pid);
    coordinator.kill('SIGKILL');
  };
  signal.addEventListener('abort', end, { once: true });
  process.once('exit', endAtOnce);
  try {
    if (signal.aborted) end();
    for (;;) {
      const { code, signal: killedBy, error } = await coordinator.exited;
      signal.throwIfAborted();
      if (code === 0) return { moments, pids, addresses };
      if (awaySeconds !== null) {
        await sleep(1_000 * awaySeconds, undefined, { signal });
        coordinator = startCoordinator(program, o.inputs.resume, environment, hear);
        awaySeconds = null;
        continue;
      }
      const how = killedBy === null ? `with exit code ${code}` : `by ${killedBy}`;
      throw new RondoError(
        error?.code ?? 'aborted',
        `the ${o.run} run ended ${how}: ${error?.message ?? ''}`,
        {
          remedy: `its logs are in ${directory.logs}`,
        },
      );
    }
  } finally {
    clearInterval(watch);
    clearTimeout(endTimer);
    signal.removeEventListener('abort', end);
    process.removeListener('exit', endAtOnce);
    disconnect();
    for (const pid of stopped) resumeProcess(pid);
    relay?.close();
  }
}
