import type { Heartbeat, WorkerMessage } from '../../proto/gen/coordinator.js';
import { hearReady } from './begin.js';
import { finish } from './end.js';
import { hearCandidate, hearLeave, meet } from './hear-candidate.js';
import { hearFailure } from './loss.js';
import { candidatesOf, replaceMember } from './members.js';
import type { Transition } from './membership-events.js';
import type { Alive, Membership, Preparing, Running, Stopping } from './membership-state.js';
import { interrupt } from './regrouping.js';
import { closedEpoch, reportBy, reportFinished } from './reports.js';
import type { Rules } from './rules.js';
import { noteProgress, paceAfter } from './stall.js';
import { tell } from './stop.js';

type Message = NonNullable<WorkerMessage['message']>;

/** What a session says. */
export function hear(
  rules: Rules,
  before: Membership,
  session: number,
  message: Message | undefined,
  nowMs: number,
): Transition {
  if (before.kind === 'failed') return meet(rules, before, session, message, nowMs);
  const state = touch(before, session, nowMs);
  if (state === null) return meet(rules, before, session, message, nowMs);
  const candidate = candidatesOf(state).find((each) => each.session === session);
  if (message === undefined || message.$case === 'register') return { state, effects: [] };
  if (message.$case === 'leave') return hearLeave(rules, state, session, nowMs);
  if (candidate !== undefined) return hearCandidate(rules, state, candidate, message, nowMs);
  if (state.kind !== 'preparing' && state.kind !== 'running' && state.kind !== 'stopping') {
    return { state, effects: [] };
  }
  const rank = state.members.findIndex((member) => member.session === session);
  if (message.$case === 'heartbeat') return followHeartbeat(state, rank, message.value, nowMs);
  // Of an earlier generation.
  if (message.value.generation !== state.generation.number) return { state, effects: [] };
  if (message.$case === 'failed') return hearFailure(rules, state, rank, message.value, nowMs);
  const progressed = noteProgress(state, nowMs);
  if (progressed.kind === 'preparing') return hearReady(rules, progressed, rank, message, nowMs);
  return advance(rules, progressed, rank, message, nowMs);
}

/** A heartbeat tells what its rank is at, and one of this generation how far it is with an evaluation. */
function followHeartbeat(
  before: Preparing | Running | Stopping,
  rank: number,
  beat: Heartbeat,
  nowMs: number,
): Transition {
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

function advance(
  rules: Rules,
  state: Running | Stopping,
  rank: number,
  message: Message,
  nowMs: number,
): Transition {
  const advanced = reportBy(rules, state, rank, message);
  if (advanced !== null) {
    const { effects, ...next } = advanced;
    const epoch = closedEpoch(next.progress);
    const closing =
      epoch > closedEpoch(state.progress)
        ? tell(state.members, { $case: 'epochClosed', value: { epoch } })
        : [];
    return {
      state: { ...state, ...next, pace: paceAfter(rules.stall, state, effects) },
      effects: [...effects, ...closing],
    };
  }
  // A repeated Ready changes nothing.
  if (message.$case !== 'finished') return { state, effects: [] };
  const { reports, result } = reportFinished(rules, state.generation, state.reports, rank, message.value);
  const next = { ...state, reports };
  if (result === null) return { state: next, effects: [] };
  if (next.kind === 'stopping' && next.purpose.change !== undefined && result.stopped) {
    const { kind, change } = next.purpose;
    // Until now they went on with the step. Where the run is to end they take one more if they heard too late that
    // the state is to be kept.
    const goesOn = kind === 'regroup' || reports.keptStep !== result.step;
    if (goesOn) return interrupt(rules, next, { ...change, sinceMs: nowMs }, nowMs);
  }
  if (next.kind === 'running' && result.stopped) {
    // They were asked to by a coordinator that has died since.
    const change = { causes: [{ kind: 'restart' as const }], sinceMs: nowMs, cutStep: false };
    return interrupt(rules, next, change, nowMs);
  }
  return finish(next, result);
}

/** The state after a member was heard from; null for a session that is no member's. */
function touch(state: Alive, session: number, nowMs: number): Alive | null {
  const member = [...state.members, ...candidatesOf(state)].find((each) => each.session === session);
  return member === undefined ? null : replaceMember(state, { ...member, heardAtMs: nowMs });
}
