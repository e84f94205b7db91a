import { Activity, type Register } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { parseHostPort } from '../../runtime/host-port.js';
import type { Effect } from './membership-events.js';
import type { Candidate, Member } from './membership-state.js';
import type { Rules } from './rules.js';

/** Host names are allowed; what would break a NATS subject (spaces, wildcards, empty tokens) is not. */
const workerIdPattern = /^[\w-]+(\.[\w-]+)*$/;
const maxWorkerIdLength = 255;

export function isWorkerId(text: string): boolean {
  return workerIdPattern.test(text) && text.length <= maxWorkerIdLength;
}

/** Of a member that has not sent a heartbeat. */
const unheard = { activity: Activity.ACTIVITY_UNSPECIFIED, evaluated: 0, leaving: false };

/**
 * A worker's first message: it becomes a candidate, or null when it is refused, with the reason.
 *
 * @param underWay whether others compute already
 */
export function register(
  rules: Rules,
  { present, underWay }: { readonly present: readonly Member[]; readonly underWay: boolean },
  session: number,
  request: Register,
  nowMs: number,
): { readonly candidate: Candidate | null; readonly effects: readonly Effect[] } {
  const error = findRefusal(rules, present, request);
  if (error !== null) return { candidate: null, effects: [{ kind: 'refuse', session, error }] };
  const { workerId, peerAddress: address, host, pid, zone = '' } = request;
  const readiness = { kind: 'opening' } as const;
  const candidate = { session, workerId, address, host, zone, pid, heardAtMs: nowMs, ...unheard, readiness };
  const message = { message: { $case: 'welcome' as const, value: { ...rules.welcome, underWay } } };
  return { candidate, effects: [{ kind: 'send', session, message }] };
}

/** The refusal of a worker that comes when no workers are accepted. */
export function refuseLateComer(workerId: string, reason: string): RondoError {
  return new RondoError('failed-precondition', `worker ${workerId} comes too late: ${reason}`);
}

function findRefusal(rules: Rules, present: readonly Member[], request: Register): RondoError | null {
  const { workerId, peerAddress, version } = request;
  if (!isWorkerId(workerId)) {
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
  const registered = present.find((member) => member.workerId === workerId);
  if (registered !== undefined) {
    return new RondoError(
      'failed-precondition',
      `a worker ${workerId} has already registered (process ${registered.pid} on ${registered.host}): give each its own --id`,
    );
  }
  const neighbour = present.find((member) => member.address === peerAddress);
  if (neighbour !== undefined) {
    return new RondoError(
      'invalid-argument',
      `worker ${workerId} says its peers reach it at ${peerAddress}, and so does ${neighbour.workerId}: ` +
        'give it a --listen address of its own',
    );
  }
  if (present.length < rules.maxWorkers) return null;
  return new RondoError(
    'failed-precondition',
    `worker ${workerId} is one too many: the run has its ${rules.maxWorkers} workers`,
    { remedy: 'start or resume the run with a higher --max-workers' },
  );
}
