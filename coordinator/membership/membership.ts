import type { CoordinatorMessage, Heartbeat, WorkerMessage } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { checkTime, fail, failureOf, hearFailure, loseMember } from './loss.js';
import type {
  Effect,
  Event,
  Membership,
  Preparing,
  Rules,
  Running,
  Start,
  Stopping,
  Transition,
} from './membership-state.js';
import { finish, formGeneration, refuseLateComer, register, startAgain } from './registration.js';
import {
  noReports,
  reportEpoch,
  reportEvaluation,
  reportFinished,
  reportStep,
  requireAgreement,
  violation,
} from './reports.js';
import { noteProgress, paceAfter } from './stall.js';

type Message = NonNullable<WorkerMessage['message']>;

/** A cluster without workers. */
export function beginMembership(nowMs: number): Membership {
  return {
    kind: 'gathering',
    checkedAtMs: nowMs,
    lastGeneration: 0n,
    members: [],
    start: null,
    startedAtMs: nowMs,
    stopped: false,
  };
}

/**
 * What happens to the membership, and what is to be done about it. Pure: time comes in as `nowMs`, everything
 * that is done goes out as effects, in the order in which they must be done.
 */
export function reduce(rules: Rules, state: Membership, event: Event, nowMs: number): Transition {
  try {
    return handle(rules, state, event, nowMs);
  } catch (error) {
    if (error instanceof RondoError) return fail(state, error);
    throw error;
  }
}

function handle(rules: Rules, state: Membership, event: Event, nowMs: number): Transition {
  switch (event.kind) {
    case 'start':
      return start(rules, state, event.start, nowMs);
    case 'message':
      return hear(rules, state, event.session, event.message.message, nowMs);
    case 'closed':
      return loseMember(rules, state, event.session, event.reason);
    case 'exited':
      // Once it has a rank, the end of its session reports the same, with its rank and step.
      return state.kind === 'gathering' ? fail(state, event.error) : { state, effects: [] };
    case 'abort':
      return fail(state, event.error);
    case 'stop':
      return stop(state, event.reason);
    case 'close':
      return close(state, event.ok, event.reason);
    case 'tick':
      return checkTime(rules, state, nowMs);
  }
}

function start(rules: Rules, state: Membership, at: Start, nowMs: number): Transition {
  if (state.kind === 'finished') return startAgain(rules, state, at, nowMs);
  if (state.kind !== 'gathering') return { state, effects: [] };
  const started = { ...state, start: at, startedAtMs: nowMs };
  return state.stopped ? endBeforeFirstStep(started, at.step) : formGeneration(rules, started, nowMs);
}

function stop(state: Membership, reason: string): Transition {
  switch (state.kind) {
    case 'gathering':
      if (state.start !== null) return endBeforeFirstStep(state, state.start.step);
      return { state: { ...state, stopped: true }, effects: [] };
    case 'preparing':
      return endBeforeFirstStep(state, state.generation.startStep);
    case 'running': {
      const value = { generation: state.generation.number, reason };
      return { state: { ...state, kind: 'stopping' }, effects: tellAll(state, { $case: 'stop', value }) };
    }
    default:
      return { state, effects: [] };
  }
}

function endBeforeFirstStep(state: Exclude<Membership, { kind: 'failed' }>, step: number): Transition {
  return finish(state, { step, stopped: true, metrics: { published: 0, dropped: 0 } });
}

function close(state: Membership, ok: boolean, reason: string): Transition {
  if (state.kind === 'failed') return { state, effects: [] };
  const effects = state.members.map(({ session }): Effect => ({ kind: 'dismiss', session, ok, reason }));
  const error = new RondoError('cancelled', `the cluster was closed: ${reason}`);
  if (state.kind !== 'finished') effects.push({ kind: 'rejected', error });
  return { state: { kind: 'failed', checkedAtMs: state.checkedAtMs, error }, effects };
}

function hear(
  rules: Rules,
  before: Membership,
  session: number,
  message: Message | undefined,
  nowMs: number,
): Transition {
  const rank =
    before.kind === 'failed' ? -1 : before.members.findIndex((member) => member.session === session);
  if (rank < 0) return meet(rules, before, session, message, nowMs);
  const state = touch(before, rank, nowMs);
  if (message?.$case === 'heartbeat') return followHeartbeat(state, rank, message.value, nowMs);
  if (message === undefined || message.$case === 'register') return { state, effects: [] };
  if (state.kind === 'gathering' && message.$case === 'failed') {
    return fail(state, failureOf(rules, state.members[rank]!.workerId, message.value));
  }
  if (state.kind !== 'preparing' && state.kind !== 'running' && state.kind !== 'stopping') {
    return { state, effects: [] };
  }
  const { generation } = message.value;
  // A worker that fails before it heard of any generation says 0.
  const current = generation === state.generation.number || (generation === 0n && message.$case === 'failed');
  if (!current) return { state, effects: [] };
  if (message.$case === 'failed') return hearFailure(rules, state, rank, message.value, nowMs);
  const progressed = noteProgress(state, nowMs);
  if (progressed.kind === 'preparing') return prepare(progressed, rank, message);
  return advance(rules, progressed, rank, message);
}

/** A session that is not a member's: its first message must be Register. */
function meet(
  rules: Rules,
  state: Membership,
  session: number,
  message: Message | undefined,
  nowMs: number,
): Transition {
  if (message?.$case !== 'register') {
    // A member that was dismissed or lost may still be speaking.
    return { state, effects: [] };
  }
  if (state.kind === 'gathering') return register(rules, state, session, message.value, nowMs);
  const over = state.kind === 'failed' || state.kind === 'finished';
  const reason = over ? 'the run is over' : `the run has its ${rules.worldSize} workers`;
  return {
    state,
    effects: [{ kind: 'refuse', session, error: refuseLateComer(message.value.workerId, reason) }],
  };
}

/** A heartbeat tells what its rank is at, and one of this generation how far it is with an evaluation. */
function followHeartbeat(before: Membership, rank: number, beat: Heartbeat, nowMs: number): Transition {
  if (before.kind === 'failed') return { state: before, effects: [] };
  const { activity, evaluated, generation } = beat;
  const moved = evaluated !== before.members[rank]!.evaluated;
  const members = before.members.with(rank, { ...before.members[rank]!, activity, evaluated });
  const state = { ...before, members };
  return {
    state: moved ? noteProgress(state, nowMs) : state,
    effects:
      state.kind === 'running' && generation === state.generation.number && evaluated > 0
        ? [{ kind: 'evaluating', rank, images: evaluated }]
        : [],
  };
}

function prepare(state: Preparing, rank: number, message: Message): Transition {
  if (message.$case !== 'ready') throw violation(state.generation, rank, `${message.$case} before Begin`);
  const { stateDigest, step, kernels } = message.value;
  const { generation } = state;
  if (Number(step) !== generation.startStep) {
    throw violation(generation, rank, `being ready at step ${step}, not at step ${generation.startStep}`);
  }
  if (kernels === undefined) throw violation(generation, rank, 'being ready without its kernels');
  const before = state.digests[rank]!;
  if (before !== null && before !== stateDigest) throw violation(generation, rank, 'two different digests');
  const place = generation.places[rank]!;
  const ready: Effect = { kind: 'ready', value: { ...place, generation: generation.number, kernels } };
  const digests = state.digests.with(rank, stateDigest);
  const present = digests.filter((digest) => digest !== null);
  if (present.length < digests.length) return { state: { ...state, digests }, effects: [ready] };

  requireAgreement(generation, present, `the workers do not start step ${step} from the same state`);
  const { checkedAtMs, members, pace, suspicion } = state;
  const reports = noReports(generation, stateDigest);
  return {
    state: { kind: 'running', checkedAtMs, generation, members, pace, suspicion, reports },
    effects: [ready, ...tellAll(state, { $case: 'begin', value: { generation: generation.number } })],
  };
}

function advance(rules: Rules, state: Running | Stopping, rank: number, message: Message): Transition {
  const { generation, reports } = state;
  if ('rank' in message.value && message.value.rank !== rank) {
    throw violation(generation, rank, `${message.$case} as rank ${message.value.rank}`);
  }
  switch (message.$case) {
    case 'stepCommitted': {
      const next = reportStep(generation, reports, rank, message.value);
      const pace = paceAfter(rules.stall, state, next.effects);
      return { state: { ...state, pace, reports: next.reports }, effects: next.effects };
    }
    case 'evaluation': {
      const next = reportEvaluation(generation, reports, rank, message.value, rules.validCount);
      return { state: { ...state, reports: next.reports }, effects: next.effects };
    }
    case 'epochCompleted': {
      const next = reportEpoch(generation, reports, rank, message.value);
      return { state: { ...state, reports: next.reports }, effects: next.effects };
    }
    case 'finished': {
      const { reports: next, result } = reportFinished(rules, generation, reports, rank, message.value);
      if (result === null) return { state: { ...state, reports: next }, effects: [] };
      return finish(state, result);
    }
    default:
      // A repeated Ready changes nothing.
      return { state, effects: [] };
  }
}

function touch(state: Membership, rank: number, nowMs: number): Membership {
  if (state.kind === 'failed') return state;
  const member = { ...state.members[rank]!, heardAtMs: nowMs };
  return { ...state, members: state.members.with(rank, member) };
}

function tellAll(
  state: Preparing | Running,
  message: NonNullable<CoordinatorMessage['message']>,
): readonly Effect[] {
  return state.members.map(({ session }): Effect => ({ kind: 'send', session, message: { message } }));
}
