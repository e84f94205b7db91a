import type { Failed as FailedReport } from '../../proto/gen/coordinator.js';
import { type ErrorCode, RondoError } from '../../runtime/errors.js';
import { nameWorker } from './disagreement.js';
import type {
  Effect,
  Gathering,
  Member,
  Membership,
  Preparing,
  Rules,
  Running,
  Stopping,
  Transition,
} from './membership-state.js';
import { findStall } from './stall.js';

type Engaged = Preparing | Running | Stopping;

/** How long a worker's report of a failed peer waits for that peer's own session to end. */
const suspicionMs = 1_000;
/**
 * A worker not heard from for this long may be the failed peer: wait until it is heard from or counts as
 * lost.
 */
const overdueMs = 2_000;

/** Codes of failures that another worker caused. */
const peerFailureCodes: ReadonlySet<ErrorCode> = new Set(['unavailable', 'aborted', 'deadline-exceeded']);

/** Ends the run: all other workers are dismissed, `run` rejects. */
export function fail(state: Membership, error: RondoError, effects: readonly Effect[] = []): Transition {
  if (state.kind === 'finished' || state.kind === 'failed') return { state, effects };
  const dismissals = state.members.map(
    ({ session }): Effect => ({ kind: 'dismiss', session, ok: false, reason: error.message }),
  );
  return {
    state: { kind: 'failed', checkedAtMs: state.checkedAtMs, error },
    effects: [...effects, ...dismissals, { kind: 'rejected', error }],
  };
}

/** A member's session is over, or it fell silent. `refusal` ends a session that is still open. */
export function loseMember(
  rules: Rules,
  state: Membership,
  session: number,
  reason: string,
  refusal?: RondoError,
): Transition {
  const effects: Effect[] = refusal === undefined ? [] : [{ kind: 'refuse', session, error: refusal }];
  if (state.kind === 'failed') return { state, effects };
  const rank = state.members.findIndex((member) => member.session === session);
  if (rank < 0) return { state, effects };
  const members = state.members.filter((member) => member.session !== session);
  if (state.kind === 'gathering' || state.kind === 'finished') {
    return { state: { ...state, members }, effects };
  }
  if (state.suspicion?.reporters.includes(session)) return { state, effects };

  const place = state.generation.places[rank]!;
  const step = stepOf(state, rank);
  const error = new RondoError(
    'unavailable',
    `worker ${nameWorker(place)} was lost at step ${step}: ${reason}`,
    {
      remedy: rules.endRemedy,
    },
  );
  effects.push({ kind: 'workerLost', value: { workerId: place.workerId, rank, step, reason } });
  return fail({ ...state, members }, error, effects);
}

/**
 * A worker reports that it cannot go on. When the cause is a peer, that peer's own loss is waited for, to be
 * named instead.
 */
export function hearFailure(
  rules: Rules,
  state: Engaged,
  rank: number,
  report: FailedReport,
  nowMs: number,
): Transition {
  const { session } = state.members[rank]!;
  const error = failureOf(rules, nameWorker(state.generation.places[rank]!), report);
  const others = state.members.length - 1;
  if (!peerFailureCodes.has(error.code) || others === 0) return fail(state, error);
  const suspicion = state.suspicion ?? { error, sinceMs: nowMs, reporters: [] };
  const reporters = [...suspicion.reporters, session];
  return { state: { ...state, suspicion: { ...suspicion, reporters } }, effects: [] };
}

/** The error a worker's Failed message stands for. */
export function failureOf(rules: Rules, name: string, report: FailedReport): RondoError {
  const { code, message, remedy } = RondoError.fromPlain(report);
  return new RondoError(code, `worker ${name} failed at step ${report.step}: ${message}`, {
    remedy: remedy ?? rules.endRemedy,
  });
}

/**
 * What is due by time alone: silent workers are lost; a report of a failed peer that no loss has explained
 * ends the run.
 */
export function checkTime(rules: Rules, before: Membership, nowMs: number): Transition {
  const state = discountPause(rules, before, nowMs);
  if (state.kind === 'finished' || state.kind === 'failed') return { state, effects: [] };
  const suspicion = state.kind === 'gathering' ? null : state.suspicion;
  const expected = state.members.filter((member) => !suspicion?.reporters.includes(member.session));
  const silent = expected.find((member) => nowMs - member.heardAtMs >= rules.silenceMs);
  if (silent !== undefined) {
    const reason = `it was silent for ${rules.silenceMs / 1_000} s`;
    const refusal = new RondoError('deadline-exceeded', `worker ${silent.workerId} was removed: ${reason}`);
    return loseMember(rules, state, silent.session, reason, refusal);
  }
  if (state.kind === 'gathering') return checkGathering(rules, state, nowMs);
  if (suspicion === null) return checkStall(rules, state, nowMs);
  if (nowMs - suspicion.sinceMs < suspicionMs) return { state, effects: [] };
  const overdue = expected.some((member) => nowMs - member.heardAtMs >= overdueMs);
  return overdue ? { state, effects: [] } : fail(state, suspicion.error);
}

/** A worker that was launched here and does not register hangs at its start. */
function checkGathering({ gathering, worldSize }: Rules, state: Gathering, nowMs: number): Transition {
  const { start, startedAtMs, members } = state;
  if (start === null || gathering === null) return { state, effects: [] };
  const { timeoutMs, logDir } = gathering;
  if (nowMs - startedAtMs < timeoutMs) return { state, effects: [] };
  const names = members.length === 0 ? 'none' : members.map(({ workerId }) => workerId).join(', ');
  const error = new RondoError(
    'deadline-exceeded',
    `${members.length} of ${worldSize} workers registered within ${timeoutMs / 1_000} s (${names})`,
    { remedy: `read in ${logDir} what the others say: a file system may hang, or memory be short` },
  );
  return fail(state, error);
}

/**
 * A worker sends heartbeats even while its compute thread or file system hangs: one that stalls the others is
 * lost.
 */
function checkStall(rules: Rules, state: Engaged, nowMs: number): Transition {
  const stall = findStall(rules.stall, state, nowMs);
  if (stall === null) return { state, effects: [] };
  const { session, workerId } = state.members[stall.rank]!;
  const refusal = new RondoError('deadline-exceeded', `worker ${workerId} was removed: ${stall.reason}`);
  return loseMember(rules, state, session, stall.reason, refusal);
}

/** If the coordinator itself was paused, that time does not count as the workers' silence. */
function discountPause(rules: Rules, state: Membership, nowMs: number): Membership {
  const pausedMs = nowMs - state.checkedAtMs - rules.tickMs;
  if (state.kind === 'failed' || pausedMs < rules.tickMs) return { ...state, checkedAtMs: nowMs };
  const members = state.members.map((member): Member => {
    return { ...member, heardAtMs: Math.min(nowMs, member.heardAtMs + pausedMs) };
  });
  if (state.kind === 'gathering') {
    const startedAtMs = Math.min(nowMs, state.startedAtMs + pausedMs);
    return { ...state, members, startedAtMs, checkedAtMs: nowMs };
  }
  if (!('pace' in state)) return { ...state, members, checkedAtMs: nowMs };
  const progressedAtMs = Math.min(nowMs, state.pace.progressedAtMs + pausedMs);
  return { ...state, members, pace: { ...state.pace, progressedAtMs }, checkedAtMs: nowMs };
}

function stepOf(state: Engaged, rank: number): number {
  return state.kind === 'preparing' ? state.generation.startStep : state.reports.reported[rank]!;
}
