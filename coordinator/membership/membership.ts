import { RondoError } from '../../runtime/errors.js';
import { dismissAll, fail, finish } from './end.js';
import { formFirst } from './generation.js';
import { hear } from './hear.js';
import { checkTime, hearExit, loseMember } from './loss.js';
import type { Event, Transition } from './membership-events.js';
import type { Alive, Gathering, Membership, Start } from './membership-state.js';
import { settle } from './regrouping.js';
import { recordedIn } from './reports.js';
import type { Rules } from './rules.js';
import { askToStop, endInstead, tell } from './stop.js';

/** A cluster without workers. `lastGeneration` is that of a coordinator that died. */
export function beginMembership(nowMs: number, lastGeneration = 0n): Membership {
  return {
    kind: 'gathering',
    checkedAtMs: nowMs,
    ...{ lastGeneration, isFirst: true },
    members: [],
    start: null,
    startedAtMs: nowMs,
    stopped: false,
    left: 0,
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
      return loseMember(rules, state, event.session, event.reason, nowMs);
    case 'exited':
      return hearExit(rules, state, event.error);
    case 'abort':
      return fail(state, event.error);
    case 'stop':
      return stop(rules, state, event.reason, nowMs);
    case 'snapshot':
      return askForSnapshot(state);
    case 'synced':
      return tellRecorded(state);
    case 'close':
      return close(state, event.ok, event.reason);
    case 'tick':
      return checkTime(rules, state, nowMs);
  }
}

/** The first start, or another one of the same workers: elsewhere in the run, or after its state was lost. */
function start(rules: Rules, state: Membership, at: Start, nowMs: number): Transition {
  if (state.kind !== 'gathering' && state.kind !== 'finished') return { state, effects: [] };
  const { checkedAtMs, lastGeneration, members } = state;
  const started: Gathering = {
    ...{ kind: 'gathering', checkedAtMs, lastGeneration, members, start: at, startedAtMs: nowMs },
    isFirst: state.kind === 'gathering' && state.isFirst,
    stopped: state.kind === 'gathering' && state.stopped,
    left: state.kind === 'gathering' ? state.left : 0,
  };
  if (started.stopped) return endBeforeFirstStep(started, at.step);
  const formed = formFirst(rules, started, nowMs);
  if (formed.state.kind !== 'gathering' || started.isFirst) return formed;
  const { minWorkers: needed } = rules;
  return { state: formed.state, effects: [{ kind: 'short', workers: members.length, needed }] };
}

function stop(rules: Rules, state: Membership, reason: string, nowMs: number): Transition {
  switch (state.kind) {
    case 'gathering':
      if (state.start !== null) return endBeforeFirstStep(state, state.start.step);
      return { state: { ...state, stopped: true }, effects: [] };
    case 'preparing':
      if (state.start !== null) return endBeforeFirstStep(state, state.start.step);
      return { state: { ...state, stopRequested: reason }, effects: [] };
    case 'regrouping':
      return settle(rules, { ...state, stopRequested: reason }, nowMs);
    case 'stopping':
      return endInstead(state, reason);
    case 'running':
      return askToStop(state, reason);
    default:
      return { state, effects: [] };
  }
}

/** Whoever asks for it asks again later: a generation that has not begun, or is ending, takes none. */
function askForSnapshot(state: Membership): Transition {
  if (state.kind !== 'running') return { state, effects: [] };
  const value = { generation: state.generation.number };
  return { state, effects: tell(state.members, { $case: 'snapshot', value }) };
}

/** What the ranks need not keep any more. */
function tellRecorded(state: Membership): Transition {
  if (state.kind !== 'running' && state.kind !== 'stopping') return { state, effects: [] };
  const value = recordedIn(state.progress);
  return { state, effects: tell(state.members, { $case: 'recorded', value }) };
}

function endBeforeFirstStep(state: Alive, step: number): Transition {
  return finish(state, {
    ...{ step, stopped: true, stateLost: false },
    metrics: { published: 0, dropped: 0 },
  });
}

function close(state: Membership, ok: boolean, reason: string): Transition {
  if (state.kind === 'failed') return { state, effects: [] };
  const effects = dismissAll(state, ok, reason);
  const error = new RondoError('cancelled', `the cluster was closed: ${reason}`);
  if (state.kind !== 'finished') effects.push({ kind: 'rejected', error });
  return { state: { kind: 'failed', checkedAtMs: state.checkedAtMs, error }, effects };
}
