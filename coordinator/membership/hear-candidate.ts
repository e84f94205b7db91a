import type { HeldState as HeldMessage, Standby, WorkerMessage } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { generationOf } from './end.js';
import { formFirst } from './generation.js';
import { hearCandidateFailure, loseMember } from './loss.js';
import { candidatesOf, replaceMember } from './members.js';
import type { Effect, Transition } from './membership-events.js';
import type { Alive, Candidate, HeldState, Member, Membership, Regrouping } from './membership-state.js';
import { attach, mayAttach } from './reattach.js';
import { refuseLateComer, register } from './registration.js';
import { settle } from './regrouping.js';
import { reportBy } from './reports.js';
import type { Rules } from './rules.js';
import { noteProgress } from './stall.js';
import { considerChange, tellToStop } from './stop.js';

type Message = NonNullable<WorkerMessage['message']>;

/** A session that is not a member's: its first message must be Register. */
export function meet(
  rules: Rules,
  state: Membership,
  session: number,
  message: Message | undefined,
  nowMs: number,
): Transition {
  // A member that was dismissed or lost may still be speaking.
  if (message?.$case !== 'register') return { state, effects: [] };
  if (state.kind === 'failed' || state.kind === 'finished') {
    const error = refuseLateComer(message.value.workerId, 'the run is over');
    return { state, effects: [{ kind: 'refuse', session, error }] };
  }
  const present = 'standby' in state ? [...state.members, ...state.standby] : state.members;
  const { workerId, pid, peerAddress, attachment } = message.value;
  const away = present.find((each) => each.workerId === workerId && isAway(each));
  if (state.kind === 'regrouping' && away !== undefined && isAway(away)) {
    const isSame = away.pid === pid && away.address === peerAddress;
    if (isSame && mayAttach(state, attachment))
      return attach(rules, state, away, { session, zone: message.value.zone }, attachment!, nowMs);
    const lost = loseMember(rules, state, away.session, 'it lost its place, or was started again', nowMs);
    const next = meet(rules, lost.state, session, message, nowMs);
    return { state: next.state, effects: [...lost.effects, ...next.effects] };
  }
  const earlier = present.find(
    (each) => each.workerId === workerId && each.pid === pid && each.address === peerAddress,
  );
  if (earlier !== undefined) {
    // Its connection broke, and that was not noticed here yet.
    const refusal = new RondoError('failed-precondition', `worker ${workerId} has joined anew`);
    const lost = loseMember(rules, state, earlier.session, refusal.message, nowMs, refusal);
    const next = meet(rules, lost.state, session, message, nowMs);
    return { state: next.state, effects: [...lost.effects, ...next.effects] };
  }
  const { candidate, effects } = register(
    rules,
    { present, underWay: state.kind !== 'gathering' },
    session,
    message.value,
    nowMs,
  );
  if (candidate === null) return { state, effects };
  if ('standby' in state) {
    return { state: { ...state, standby: [...state.standby, candidate] }, effects };
  }
  return { state: { ...state, members: [...state.members, candidate] }, effects };
}

function isAway(member: Member): member is Candidate {
  return 'readiness' in member && (member as Candidate).readiness.kind === 'away';
}

/** What a member without a rank says. */
export function hearCandidate(
  rules: Rules,
  state: Alive,
  candidate: Candidate,
  message: Message,
  nowMs: number,
): Transition {
  switch (message.$case) {
    case 'heartbeat': {
      const { activity, evaluated } = message.value;
      return { state: replaceMember(state, { ...candidate, activity, evaluated }), effects: [] };
    }
    case 'standby':
      return hearStandby(rules, state, candidate, message.value, nowMs);
    case 'failed':
      return hearCandidateFailure(rules, noteEnd(state, candidate), candidate, message.value, nowMs);
    case 'finished':
      return { state: noteEnd(state, candidate), effects: [] };
    default:
      return state.kind === 'regrouping'
        ? hearLate(rules, state, candidate, message)
        : { state, effects: [] };
  }
}

/** The generation is over for one that had said that it was still under way. */
function noteEnd(state: Alive, candidate: Candidate): Alive {
  if (candidate.readiness.kind !== 'attached') return state;
  return replaceMember(state, { ...candidate, readiness: { kind: 'attached', training: false } });
}

/** What a rank did before it heard that its generation was interrupted still counts. */
function hearLate(
  rules: Rules,
  state: Regrouping,
  { workerId, readiness }: Candidate,
  message: Message,
): Transition {
  const { ended, progress } = state;
  const rank = ended?.generation.places.findIndex((place) => place.workerId === workerId) ?? -1;
  const isOfRank = readiness.kind === 'interrupted' || readiness.kind === 'attached';
  if (ended === null || rank < 0 || !isOfRank) return { state, effects: [] };
  const advanced = reportBy(rules, { ...ended, progress }, rank, message);
  if (advanced === null) return { state, effects: [] };
  const { effects, reports, progress: next } = advanced;
  return { state: { ...state, ended: { ...ended, reports }, progress: next }, effects };
}

function hearStandby(
  rules: Rules,
  before: Alive,
  candidate: Candidate,
  { generation, held }: Standby,
  nowMs: number,
): Transition {
  const wasInterrupted = candidate.readiness.kind === 'interrupted';
  if (generation !== (wasInterrupted ? generationOf(before) : 0n)) return { state: before, effects: [] };
  const state = replaceMember(before, {
    ...candidate,
    readiness: { kind: 'standby', held: wasInterrupted && held !== undefined ? readHeld(held) : null },
  });
  if (state.kind === 'gathering') return formFirst(rules, state, nowMs);
  if (state.kind === 'regrouping') return settle(rules, noteProgress(state, nowMs), nowMs);
  return state.kind === 'running' ? considerChange(rules, state, nowMs) : { state, effects: [] };
}

function readHeld({ step, stateDigest, microBatches, evaluated }: HeldMessage): HeldState {
  return { step: Number(step), digest: stateDigest, microBatches, evaluated };
}

/** A worker was asked to end: the generation ends with the step under way, and goes on without it. */
export function hearLeave(rules: Rules, before: Alive, session: number, nowMs: number): Transition {
  const leaver = [...before.members, ...candidatesOf(before)].find((each) => each.session === session)!;
  const leaving = { ...leaver, leaving: true };
  const isNeeded = 'generation' in before ? before.members.includes(leaver) : before.kind === 'regrouping';
  const state = replaceMember(before, leaving);
  if (!isNeeded) {
    const goodbye: Effect = { kind: 'dismiss', session, ok: false, reason: 'it asked to leave' };
    const next = loseMember(rules, state, session, 'it asked to leave', nowMs);
    const effects = [goodbye, ...next.effects];
    if (next.state.kind !== 'gathering') return { state: next.state, effects };
    const formed = formFirst(rules, { ...next.state, left: next.state.left + 1 }, nowMs);
    return { state: formed.state, effects: [...effects, ...formed.effects] };
  }
  if (state.kind === 'regrouping') {
    const causes = [...state.change.causes, { kind: 'leave' as const, workerId: leaver.workerId }];
    return settle(rules, { ...state, change: { ...state.change, causes } }, nowMs);
  }
  // It may be the last that would have held the state.
  if (state.kind === 'stopping' && state.purpose.kind === 'regroup')
    return { state, effects: tellToStop(state) };
  return state.kind === 'running' ? considerChange(rules, state, nowMs) : { state, effects: [] };
}
