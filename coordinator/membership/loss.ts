import type { Failed as FailedReport } from '../../proto/gen/coordinator.js';
import { type ErrorCode, RondoError } from '../../runtime/errors.js';
import type { ChangeCause } from '../telemetry/run-events.js';
import { nameWorker } from './disagreement.js';
import { fail } from './end.js';
import { neededBy } from './generation.js';
import type { Effect, Transition } from './membership-events.js';
import type {
  Candidate,
  Gathering,
  Member,
  Membership,
  Preparing,
  Regrouping,
  Running,
  Stopping,
} from './membership-state.js';
import { addCause, interrupt, settle } from './regrouping.js';
import type { Rules } from './rules.js';
import { findStall } from './stall.js';

type Engaged = Preparing | Running | Stopping;

/** Codes of failures that another worker caused. */
const peerFailureCodes: ReadonlySet<ErrorCode> = new Set(['unavailable', 'aborted', 'deadline-exceeded']);

/** A member's session is over, or it is ended with `refusal`. */
export function loseMember(
  rules: Rules,
  state: Membership,
  session: number,
  why: string,
  nowMs: number,
  refusal?: RondoError,
): Transition {
  const effects: Effect[] = refusal === undefined ? [] : [{ kind: 'refuse', session, error: refusal }];
  if (state.kind === 'failed') return { state, effects };
  const lost = state.members.find((member) => member.session === session);
  if (lost === undefined) return loseStandby(state, session, effects);
  if (state.kind === 'gathering' || state.kind === 'finished') {
    const members = state.members.filter((member) => member !== lost);
    return { state: { ...state, members }, effects };
  }
  const silentMs = nowMs - lost.heardAtMs;
  // One that is suspended or evicted, say: its machine is not at fault.
  const reason = lost.leaving ? `it asked to leave, and ended before the step did: ${why}` : why;
  const cause = { kind: 'loss', workerId: lost.workerId, reason, silentMs } as const;
  const next =
    state.kind === 'regrouping'
      ? loseCandidate(rules, state, session, cause, nowMs)
      : loseRank(rules, state, session, cause, nowMs);
  return { state: next.state, effects: [...effects, ...next.effects] };
}

type Loss = Extract<ChangeCause, { kind: 'loss' }>;

function loseRank(rules: Rules, state: Engaged, session: number, cause: Loss, nowMs: number): Transition {
  const rank = state.members.findIndex((member) => member.session === session);
  const place = state.generation.places.find(({ workerId }) => workerId === cause.workerId)!;
  const step = stepOf(state, rank);
  const { workerId, reason } = cause;
  const members = state.members.filter((member) => member.session !== session);
  const lost: Effect = { kind: 'workerLost', value: { workerId, rank: place.rank, step, reason } };
  if (rules.restoresState) {
    const text = `worker ${nameWorker(place)} was lost at step ${step}: ${reason}`;
    return fail({ ...state, members }, new RondoError('unavailable', text, { remedy: rules.endRemedy }), [
      lost,
    ]);
  }
  const change = addCause(changeOf(state), cause, state.kind !== 'preparing', nowMs);
  const next = interrupt(rules, { ...state, members }, change, nowMs);
  return { state: next.state, effects: [lost, ...next.effects] };
}

/** The change that is under way while a generation prepares, or while one ends to be followed by another. */
function changeOf(state: Engaged) {
  if (state.kind === 'preparing') return state.change;
  return state.kind === 'stopping' ? (state.purpose.change ?? null) : null;
}

function loseCandidate(
  rules: Rules,
  before: Regrouping,
  session: number,
  cause: Loss,
  nowMs: number,
): Transition {
  const members = before.members.filter((member) => member.session !== session);
  const place = before.interrupted.places.find(({ workerId }) => workerId === cause.workerId);
  if (place === undefined) return settle(rules, { ...before, members }, nowMs);
  const { workerId, reason } = cause;
  const step = before.progress.committed;
  const lost: Effect = { kind: 'workerLost', value: { workerId, rank: place.rank, step, reason } };
  const change = addCause(before.change, cause, false, nowMs);
  const next = settle(rules, { ...before, members, change }, nowMs);
  return { state: next.state, effects: [lost, ...next.effects] };
}

function loseStandby(state: Membership, session: number, effects: readonly Effect[]): Transition {
  if (!('standby' in state)) return { state, effects };
  return { state: { ...state, standby: state.standby.filter((each) => each.session !== session) }, effects };
}

/**
 * A rank reports that it cannot go on. When a peer is the cause, the membership is settled anew, with or
 * without that peer; else the run ends, because every other worker would fail in the same way.
 */
export function hearFailure(
  rules: Rules,
  state: Engaged,
  rank: number,
  report: FailedReport,
  nowMs: number,
): Transition {
  const place = state.generation.places[rank]!;
  const error = failureOf(rules, nameWorker(place), report);
  if (!peerFailureCodes.has(error.code) || rules.restoresState) return fail(state, error);
  const cause = { kind: 'complaint', workerId: place.workerId, reason: report.message } as const;
  const change = addCause(changeOf(state), cause, state.kind !== 'preparing', nowMs);
  return interrupt(rules, state, change, nowMs);
}

/** The same from one that has no rank: only before the run's first generation does the run depend on it. */
export function hearCandidateFailure(
  rules: Rules,
  state: Exclude<Membership, { kind: 'failed' }>,
  candidate: Candidate,
  report: FailedReport,
  nowMs: number,
): Transition {
  const error = failureOf(rules, candidate.workerId, report);
  if (report.generation !== 0n) {
    // It failed in the generation that was interrupted, for the same reason or for one of its own.
    return peerFailureCodes.has(error.code) ? { state, effects: [] } : fail(state, error);
  }
  if (state.kind === 'gathering' && state.isFirst) return fail(state, error);
  const warning: Effect = { kind: 'warning', text: error.message };
  const next = loseMember(rules, state, candidate.session, error.message, nowMs, error);
  return { state: next.state, effects: [warning, ...next.effects] };
}

/** The error a worker's Failed message stands for. */
function failureOf(rules: Rules, name: string, report: FailedReport): RondoError {
  const { code, message, remedy } = RondoError.fromPlain(report);
  return new RondoError(code, `worker ${name} failed at step ${report.step}: ${message}`, {
    remedy: remedy ?? rules.endRemedy,
  });
}

/** A worker that was launched here is not started again. */
export function hearExit(rules: Rules, state: Membership, error: RondoError): Transition {
  if (state.kind === 'failed' || state.kind === 'finished') return { state, effects: [] };
  const present = state.members.length + ('standby' in state ? state.standby.length : 0);
  const needed = state.kind === 'gathering' ? neededBy(rules, state) : rules.minWorkers;
  if (present < needed) return fail(state, error);
  return { state, effects: [{ kind: 'warning', text: error.message }] };
}

/** What is due by time alone. */
export function checkTime(rules: Rules, before: Membership, nowMs: number): Transition {
  const state = discountPause(rules, before, nowMs);
  if (state.kind === 'finished' || state.kind === 'failed') return { state, effects: [] };
  const all = 'standby' in state ? [...state.members, ...state.standby] : state.members;
  // The next look may come after the limit.
  const silent = all.find((member) => nowMs - member.heardAtMs >= rules.silenceMs - rules.tickMs);
  if (silent !== undefined) {
    const reason = `it was silent for ${((nowMs - silent.heardAtMs) / 1_000).toFixed(1)} s`;
    // Should it be heard of again, it may join anew.
    const refusal = new RondoError('aborted', `worker ${silent.workerId} was removed: ${reason}`);
    return loseMember(rules, state, silent.session, reason, nowMs, refusal);
  }
  if (state.kind === 'gathering') return checkGathering(rules, state, nowMs);
  if (state.kind === 'stopping' && state.purpose.kind === 'regroup') {
    const { change } = state.purpose;
    const isOverdue = nowMs - change.sinceMs >= rules.leaveMs;
    if (isOverdue && state.members.some(({ leaving }) => leaving)) {
      return interrupt(rules, state, { ...change, cutStep: true }, nowMs);
    }
  }
  return checkStall(rules, state, nowMs);
}

/** A worker that was launched here and does not make itself ready hangs at its start. */
function checkGathering({ gathering }: Rules, state: Gathering, nowMs: number): Transition {
  const { start, startedAtMs, members } = state;
  const { timeoutMs, logDir, workerIds } = gathering;
  if (start === null || !state.isFirst || nowMs - startedAtMs < timeoutMs) {
    return { state, effects: [] };
  }
  const ready = members.filter(({ readiness }) => readiness.kind === 'standby').map((each) => each.workerId);
  const missing = workerIds.filter((id) => !ready.includes(id));
  if (missing.length === 0) return { state, effects: [] };
  const error = new RondoError(
    'deadline-exceeded',
    `of the workers started here, ${missing.join(', ')} did not get ready within ${timeoutMs / 1_000} s`,
    { remedy: `read in ${logDir} what it says: a file system may hang, or memory be short` },
  );
  return fail(state, error);
}

/**
 * A worker sends heartbeats even while its compute thread or file system hangs: one that stalls the others is
 * lost.
 */
function checkStall(rules: Rules, state: Engaged | Regrouping, nowMs: number): Transition {
  const stall = findStall(rules.stall, state, nowMs);
  if (stall === null) return { state, effects: [] };
  const { session, workerId } = state.members[stall.index]!;
  const refusal = new RondoError('deadline-exceeded', `worker ${workerId} was removed: ${stall.reason}`);
  return loseMember(rules, state, session, stall.reason, nowMs, refusal);
}

/** If the coordinator itself was paused, that time does not count as the workers' silence. */
function discountPause(rules: Rules, state: Membership, nowMs: number): Membership {
  const pausedMs = nowMs - state.checkedAtMs - rules.tickMs;
  if (state.kind === 'failed' || pausedMs < rules.tickMs) return { ...state, checkedAtMs: nowMs };
  const later = (atMs: number) => Math.min(nowMs, atMs + pausedMs);
  const shift = <Kind extends Member>(members: readonly Kind[]) =>
    members.map((member) => ({ ...member, heardAtMs: later(member.heardAtMs) }));
  if (state.kind === 'gathering') {
    const startedAtMs = later(state.startedAtMs);
    return { ...state, members: shift(state.members), startedAtMs, checkedAtMs: nowMs };
  }
  if (state.kind === 'finished') return { ...state, members: shift(state.members), checkedAtMs: nowMs };
  const pace = { ...state.pace, progressedAtMs: later(state.pace.progressedAtMs) };
  if (state.kind === 'regrouping')
    return { ...state, members: shift(state.members), pace, checkedAtMs: nowMs };
  const [members, standby] = [shift(state.members), shift(state.standby)];
  return { ...state, members, standby, pace, checkedAtMs: nowMs };
}

function stepOf(state: Engaged, rank: number): number {
  return state.kind === 'preparing' ? state.generation.startStep : state.reports.reported[rank]!;
}
