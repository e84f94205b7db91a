import { type Division, divideRest } from '../../plan/micro-batches.js';
import { RondoError } from '../../runtime/errors.js';
import { largest } from '../../runtime/extremes.js';
import type { ChangeCause } from '../telemetry/run-events.js';
import type { CommittedStep } from './cluster-events.js';
import { commitFromSome } from './commit-step.js';
import { describeDisagreement } from './disagreement.js';
import { fail } from './end.js';
import { findReady, formFirst, placeRanks, prepare } from './generation.js';
import { goOn } from './go-on.js';
import type { Effect, Transition } from './membership-events.js';
import type {
  Candidate,
  Change,
  Gathering,
  HeldState,
  Preparing,
  Regrouping,
  Running,
  StateOrigin,
  Stopping,
} from './membership-state.js';
import { orderRanks } from './rank-order.js';
import { closedEpoch } from './reports.js';
import type { Rules } from './rules.js';
import { interruption, tell } from './stop.js';

type Engaged = Preparing | Running | Stopping;

/** So many generations in a row that commit nothing end the run, when it is peers that do not reach each other. */
const mostFruitless = 5;

/** Ends a generation where it is: every survivor is asked which state it holds. */
export function interrupt(rules: Rules, state: Engaged, change: Change, nowMs: number): Transition {
  const fruitless = state.progress.fruitless + 1;
  const complaint = change.causes.find(({ kind }) => kind === 'complaint');
  if (complaint?.kind === 'complaint' && fruitless > mostFruitless) {
    const text = `${fruitless} times in a row no step was taken, because workers do not reach each other: ${complaint.workerId}: ${complaint.reason}`;
    return fail(state, new RondoError('unavailable', text, { remedy: rules.endRemedy }));
  }
  const { generation, standby, checkedAtMs, progress, pace } = state;
  const before = state.kind === 'preparing' ? state : null;
  const regrouping: Regrouping = {
    ...{ kind: 'regrouping', checkedAtMs, interrupted: generation, change, isShort: false },
    ended: 'reports' in state ? { generation, reports: state.reports } : state.ended,
    start: before?.start ?? null,
    members: [
      ...state.members.map((member): Candidate => ({ ...member, readiness: { kind: 'interrupted' } })),
      ...standby,
    ],
    pace: { ...pace, progressedAtMs: nowMs },
    progress: { ...progress, fruitless },
    stopRequested: stopRequestOf(state),
  };
  const message = interruption(state.members, generation.number);
  const settled = settle(rules, regrouping, nowMs);
  return { state: settled.state, effects: [...tell(state.members, message), ...settled.effects] };
}

function stopRequestOf(state: Engaged): string | null {
  if (state.kind === 'preparing') return state.stopRequested;
  return state.kind === 'stopping' && state.purpose.kind === 'end' ? state.purpose.reason : null;
}

/** The cause of a change that is under way already, or of a new one. */
export function addCause(change: Change | null, cause: ChangeCause, cutStep: boolean, nowMs: number): Change {
  if (change === null) return { causes: [cause], sinceMs: nowMs, cutStep };
  return { ...change, causes: [...change.causes, cause], cutStep: change.cutStep || cutStep };
}

/**
 * Once every survivor has said which state it holds: the most advanced one is adopted, and the next generation
 * is formed when there are workers enough.
 */
export function settle(rules: Rules, state: Regrouping, nowMs: number): Transition {
  const { members } = state;
  if (members.some(({ readiness }) => readiness.kind === 'away')) return { state, effects: [] };
  if (members.some(({ readiness }) => readiness.kind === 'attached')) return goOn(rules, state, nowMs);
  if (members.some(({ readiness }) => readiness.kind === 'interrupted')) return { state, effects: [] };
  const holders = members.filter((member) => heldBy(member) !== null);
  if (holders.length === 0) return loseState(rules, state, nowMs);
  const step = largest(holders.map((member) => heldBy(member)!.step));
  const sources = holders.filter((member) => heldBy(member)!.step === step);
  requireSameState(rules, state, sources, step);
  const closed = closedEpoch(state.progress);
  const [ended, isEpochEnd] = [Math.floor(step / rules.stepsPerEpoch) - 1, step % rules.stepsPerEpoch === 0];
  // An evaluation was lost, and nobody holds the state that it was of any more.
  if (closed < ended - (isEpochEnd ? 1 : 0)) return loseState(rules, state, nowMs);

  const ready = findReady(members);
  const last = ready.length === 0 ? lastHolders(rules, state, sources, step) : [];
  const ranks = last.length > 0 ? last : ready;
  const dispensable = members.filter(
    (member) => member.leaving && sources.some((source) => !source.leaving && source !== member),
  );
  const goodbyes = dispensable.map(sayGoodbye);
  const staying = members.filter((member) => !dispensable.includes(member));
  const needed = state.stopRequested === null ? rules.minWorkers : 1;
  if (ready.length < needed && last.length === 0)
    return waitForMore({ ...state, members: staying }, ready.length, needed, goodbyes);

  const copying = ranks.filter((member) => !sources.includes(member));
  const origins = ranks.map((member): StateOrigin => {
    if (sources.includes(member)) return { kind: 'own' };
    // The first ones are likelier to have memory for a copy from before, and are quicker then.
    const source = sources[copying.indexOf(member) % sources.length]!;
    const { workerId, address } = source;
    return { kind: 'peer', workerId, address, digest: heldBy(source)!.digest };
  });
  const { checkedAtMs, interrupted, progress, start, change, ended: before, stopRequested } = state;
  const number = interrupted.number + 1n;
  const epochEndDue = isEpochEnd && closed < ended;
  const { startDivision, evaluationDivision } = divideAgain(rules, step, ranks);
  const next = prepare({
    generation: { number, startStep: step, epochEndDue, startDivision, ...placeRanks(rules, ranks), origins },
    ...{ checkedAtMs, members: ranks, standby: staying.filter((member) => !ranks.includes(member)) },
    ...{ progress, start, change, ended: before, stopRequested, evaluationDivision, nowMs },
  });
  return { state: next.state, effects: [...goodbyes, ...next.effects] };
}

/**
 * Who computes what of the step that follows, and of the evaluation of the state: what is done of either counts. Null
 * where nothing is.
 */
function divideAgain(rules: Rules, step: number, ranks: readonly Candidate[]) {
  const held = ranks.map((member) => {
    const state = heldBy(member);
    return state?.step === step ? state : null;
  });
  const divide = (count: number, done: Division) =>
    done.every(({ length }) => length === 0) ? null : divideRest(count, done);
  return {
    startDivision: divide(
      rules.planOf(step)?.microBatches.length ?? 0,
      held.map((state) => state?.microBatches ?? []),
    ),
    evaluationDivision: divide(
      rules.evaluationBatches,
      held.map((state) => state?.evaluated ?? []),
    ),
  };
}

/**
 * Those that take one more step, whose state is kept, where all want to leave: the last one said so when the step
 * before could not be kept any more. Empty where it was, or cannot be.
 */
function lastHolders(
  { restoresState }: Rules,
  { ended }: Regrouping,
  sources: readonly Candidate[],
  step: number,
): Candidate[] {
  return restoresState || ended?.reports.keptStep === step ? [] : orderRanks(sources);
}

/** The steps that the state of a new generation contains and the ledger does not yet. */
export function stepsToCommit(rules: Rules, { generation, ended, progress }: Preparing): CommittedStep[] {
  const missing = Math.max(0, generation.startStep - progress.committed);
  return Array.from({ length: missing }, (_, index) =>
    commitFromSome(rules, ended!.generation, ended!.reports, progress.committed + index),
  );
}

export function sayGoodbye({ session }: Candidate): Effect {
  return { kind: 'dismiss', session, ok: false, reason: 'it asked to leave' };
}

/** Nobody holds a state of the run: it must be started again, from a checkpoint or where it began. */
function loseState(rules: Rules, state: Regrouping, nowMs: number): Transition {
  const { checkedAtMs, interrupted, members, start, stopRequested, progress } = state;
  const gathering: Gathering = {
    ...{ kind: 'gathering', checkedAtMs, lastGeneration: interrupted.number, start, isFirst: false },
    members: members.map((member): Candidate => {
      return member.readiness.kind === 'standby'
        ? { ...member, readiness: { kind: 'standby', held: null } }
        : member;
    }),
    ...{ startedAtMs: nowMs, stopped: stopRequested !== null, left: 0 },
  };
  if (start !== null) {
    const formed = formFirst(rules, gathering, nowMs);
    const missing: Effect[] =
      formed.state.kind === 'gathering'
        ? [{ kind: 'short', workers: findReady(members).length, needed: rules.minWorkers }]
        : [];
    return { state: formed.state, effects: [...missing, ...formed.effects] };
  }
  const result = {
    ...{ step: progress.committed, stopped: stopRequested !== null, stateLost: true },
    metrics: { published: 0, dropped: 0 },
  };
  return { state: gathering, effects: [{ kind: 'resolved', result }] };
}

function waitForMore(
  state: Regrouping,
  workers: number,
  needed: number,
  effects: readonly Effect[],
): Transition {
  if (state.isShort) return { state, effects };
  return { state: { ...state, isShort: true }, effects: [...effects, { kind: 'short', workers, needed }] };
}

function requireSameState(
  { endRemedy }: Rules,
  { interrupted }: Regrouping,
  sources: readonly Candidate[],
  step: number,
): void {
  const difference = describeDisagreement(
    sources.map(({ workerId }) => {
      return { workerId, rank: interrupted.places.findIndex((place) => place.workerId === workerId) };
    }),
    sources.map((source) => `state ${heldBy(source)!.digest}`),
  );
  if (difference === null) return;
  throw new RondoError('data-loss', `the workers hold different states after step ${step}: ${difference}`, {
    remedy: endRemedy,
  });
}

function heldBy({ readiness }: Candidate): HeldState | null {
  return readiness.kind === 'standby' ? readiness.held : null;
}
