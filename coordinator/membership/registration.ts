import { Activity, type Register, StateSource } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { parseHostPort } from '../../runtime/host-port.js';
import type { WorkerPlace } from './cluster-events.js';
import { fail } from './loss.js';
import type {
  Effect,
  Failed,
  Finished,
  Gathering,
  Generation,
  Member,
  Membership,
  Rules,
  RunResult,
  Start,
  Transition,
} from './membership-state.js';
import { beginPace } from './stall.js';

/** Host names are allowed; what would break a NATS subject (spaces, wildcards, empty tokens) is not. */
const workerIdPattern = /^[\w-]+(\.[\w-]+)*$/;
const maxWorkerIdLength = 255;

/** Of a member that has not sent a heartbeat. */
const unheard = { activity: Activity.ACTIVITY_UNSPECIFIED, evaluated: 0 };

const collator = new Intl.Collator('en', { numeric: true });

/**
 * A worker's first message while the cluster is gathering: welcomed, or refused with the reason.
 */
export function register(
  rules: Rules,
  state: Gathering,
  session: number,
  request: Register,
  nowMs: number,
): Transition {
  const refusal = findRefusal(rules, state.members, request);
  if (refusal !== null) return { state, effects: [{ kind: 'refuse', session, error: refusal }] };
  const { workerId, peerAddress, host, pid } = request;
  const member = { session, workerId, address: peerAddress, host, pid, heardAtMs: nowMs, ...unheard };
  const members = [...state.members, member];
  const welcome: Effect = {
    kind: 'send',
    session,
    message: { message: { $case: 'welcome', value: rules.welcome } },
  };
  const next = formGeneration(rules, { ...state, members }, nowMs);
  return { state: next.state, effects: [welcome, ...next.effects] };
}

/** Leaves gathering as soon as the run was started and the world is complete. */
export function formGeneration(rules: Rules, state: Gathering, nowMs: number): Transition {
  if (state.start === null || state.members.length < rules.worldSize) return { state, effects: [] };
  const members = state.members.toSorted(byWorkerId);
  const generation = assign(state.lastGeneration + 1n, members, state.start);
  const effects: Effect[] = [{ kind: 'assigned', generation }];
  for (const place of generation.places) {
    const value = {
      generation: generation.number,
      rank: place.rank,
      worldSize: members.length,
      peerAddresses: generation.places.map((other) => other.address),
      startStep: BigInt(generation.startStep),
      stateSource: generation.stateSource,
      statePeerAddress: generation.statePeerAddress,
    };
    const message = { message: { $case: 'assignment' as const, value } };
    effects.push({ kind: 'send', session: members[place.rank]!.session, message });
  }
  const digests = members.map(() => null);
  const { checkedAtMs } = state;
  return {
    state: {
      ...{ kind: 'preparing', checkedAtMs, generation, members, digests },
      ...{ pace: beginPace(nowMs), suspicion: null },
    },
    effects,
  };
}

/** Every rank has finished; the members wait for another start, or for Goodbye. */
export function finish(state: Exclude<Membership, Failed>, result: RunResult): Transition {
  const { checkedAtMs, members } = state;
  const lastGeneration = 'generation' in state ? state.generation.number : state.lastGeneration;
  return {
    state: { kind: 'finished', checkedAtMs, lastGeneration, members },
    effects: [{ kind: 'resolved', result }],
  };
}

/** The same workers take up the run at another step. */
export function startAgain(
  rules: Rules,
  { checkedAtMs, lastGeneration, members }: Finished,
  at: Start,
  nowMs: number,
): Transition {
  const gathering: Gathering = {
    ...{ kind: 'gathering', checkedAtMs, lastGeneration, members },
    ...{ start: at, startedAtMs: nowMs, stopped: false },
  };
  if (members.length === rules.worldSize) return formGeneration(rules, gathering, nowMs);
  const gone = rules.worldSize - members.length;
  const error = new RondoError(
    'unavailable',
    `${gone} of ${rules.worldSize} workers left before step ${at.step}`,
    { remedy: rules.endRemedy },
  );
  return fail(gathering, error);
}

/** The refusal of a worker that comes when no workers are accepted. */
export function refuseLateComer(workerId: string, reason: string): RondoError {
  return new RondoError('failed-precondition', `worker ${workerId} comes too late: ${reason}`);
}

function assign(number: bigint, members: readonly Member[], start: Start): Generation {
  const places = members.map(
    ({ workerId, address, pid, host }, rank): WorkerPlace => ({ workerId, rank, address, pid, host }),
  );
  const stateSource =
    start.source === 'fresh' ? StateSource.STATE_SOURCE_FRESH : StateSource.STATE_SOURCE_CHECKPOINT;
  return { number, startStep: start.step, stateSource, statePeerAddress: '', places };
}

/** Ranks follow the worker ids, worker-2 before worker-10, so that they do not depend on who came first. */
function byWorkerId(a: Member, b: Member): number {
  return collator.compare(a.workerId, b.workerId) || (a.workerId < b.workerId ? -1 : 1);
}

function findRefusal(rules: Rules, members: readonly Member[], request: Register): RondoError | null {
  const { workerId, peerAddress, version } = request;
  if (!workerIdPattern.test(workerId) || workerId.length > maxWorkerIdLength) {
    return new RondoError(
      'invalid-argument',
      `"${workerId}" is not a worker id: give --id up to ${maxWorkerIdLength} letters, digits, dots, - and _`,
    );
  }
  if (version !== rules.version) {
    return new RondoError(
      'failed-precondition',
      `worker ${workerId} is of version ${version}, the coordinator of ${rules.version}: start both from the same one`,
    );
  }
  try {
    parseHostPort(peerAddress);
  } catch (error) {
    return RondoError.from(error);
  }
  const registered = members.find((member) => member.workerId === workerId);
  if (registered !== undefined) {
    return new RondoError(
      'failed-precondition',
      `a worker ${workerId} has already registered (process ${registered.pid} on ${registered.host}): give each its own --id`,
    );
  }
  const neighbour = members.find((member) => member.address === peerAddress);
  if (neighbour !== undefined) {
    return new RondoError(
      'invalid-argument',
      `worker ${workerId} says its peers reach it at ${peerAddress}, and so does ${neighbour.workerId}: ` +
        'give it a --listen address of its own',
    );
  }
  if (members.length >= rules.worldSize) {
    return refuseLateComer(workerId, `the run has its ${rules.worldSize} workers`);
  }
  return null;
}
