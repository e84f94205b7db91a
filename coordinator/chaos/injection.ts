import { setTimeout } from 'node:timers/promises';
import type { MemberStatus } from '../../proto/run-status.js';
import { RondoError } from '../../runtime/errors.js';
import type { ControlConnection } from '../cluster/control.js';
import { type PlannedFault, pick } from './faults.js';

/** What a fault is done with. */
export interface Injector {
  readonly connection: ControlConnection;
  /** Workers that the run began with. */
  readonly workers: number;
  /** Has the coordinator die, and be started again so many seconds later. */
  killCoordinator(seconds: number): void;
  /** Stops a process for so many seconds. */
  stop(pid: number, seconds: number): void;
  /** Has a process and the coordinator not hear each other for so many seconds; `oneWay`: the coordinator not it. */
  cutOff(pid: number, o: { readonly seconds: number; readonly oneWay: boolean }): void;
  readonly signal: AbortSignal;
}

/** Whom a fault hit, and how. */
export interface Injected {
  readonly worker: string | null;
  readonly workers: readonly [number, number] | null;
}

const pollMs = 200;

/** @throws RondoError failed-precondition when there is nobody whom it could hit. */
export async function inject(fault: PlannedFault, o: Injector): Promise<Injected> {
  const { kind, choice, seconds } = fault;
  if (kind === 'coordinator') {
    o.killCoordinator(seconds);
    return { worker: null, workers: null };
  }
  const { members } = await o.connection.status();
  const local = members.filter((member) => member.local && member.state !== 'leaving');
  if (kind === 'scale') return scale(local.length, choice, o);
  const victim = pick(
    local.filter(({ rank }) => rank !== null),
    choice,
  );
  if (victim === undefined) throw new RondoError('failed-precondition', 'no worker has a rank just now');
  if (kind === 'kill') process.kill(victim.pid, 'SIGKILL');
  if (kind === 'stop') o.stop(victim.pid, seconds);
  if (kind === 'partition') o.cutOff(victim.pid, fault);
  if (kind === 'leave') {
    if (local.length < 2)
      throw new RondoError('failed-precondition', 'the last worker would take the state along');
    process.kill(victim.pid, 'SIGTERM');
    void replace(victim, local.length, seconds, o);
  }
  return { worker: victim.worker, workers: null };
}

async function scale(before: number, choice: number, { connection, workers }: Injector): Promise<Injected> {
  const others = Array.from({ length: workers }, (_, index) => index + 1).filter((count) => count !== before);
  const after = pick(others, choice);
  if (after === undefined) throw new RondoError('failed-precondition', 'a run of one worker stays one');
  await connection.scale(after);
  return { worker: null, workers: [before, after] };
}

/** Starts another worker some time after one has left; not when the run is over, or its coordinator died. */
async function replace(
  { worker }: Pick<MemberStatus, 'worker'>,
  workers: number,
  seconds: number,
  { connection, signal }: Injector,
): Promise<void> {
  try {
    await setTimeout(1_000 * seconds, undefined, { signal });
    const isThere = async () => (await connection.status()).members.some((each) => each.worker === worker);
    while (await isThere()) await setTimeout(pollMs, undefined, { signal });
    await connection.scale(workers);
  } catch {
    // The run goes on with fewer.
  }
}
