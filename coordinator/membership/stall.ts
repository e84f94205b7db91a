import { Activity } from '../../proto/gen/coordinator.js';
import { nameWorker } from './disagreement.js';
import type { Effect } from './membership-events.js';
import type { Membership, Pace, Preparing, Regrouping, Running, Stopping } from './membership-state.js';
import type { StallRules } from './rules.js';

type Awaited = Preparing | Running | Stopping | Regrouping;

/** The weight of a step in the moving average of their times. */
const stepWeight = 0.2;

const activityNames: Partial<Record<Activity, string>> = {
  [Activity.ACTIVITY_WAITING]: 'it waits for other workers',
  [Activity.ACTIVITY_LOADING]: 'it is still reading images',
  [Activity.ACTIVITY_COMPUTING]: 'its compute thread is still at work',
};

export function beginPace(nowMs: number): Pace {
  return { progressedAtMs: nowMs, usualStepMs: null };
}

/** A rank made progress: it reported something that the others may wait for. */
export function noteProgress<State extends Membership>(state: State, nowMs: number): State {
  if (!('pace' in state)) return state;
  return { ...state, pace: { ...state.pace, progressedAtMs: nowMs } };
}

/**
 * How long steps take after these effects. The first step of a generation or a phase says nothing of the
 * next.
 */
export function paceAfter(rules: StallRules, state: Running | Stopping, effects: readonly Effect[]): Pace {
  const { pace, generation } = state;
  const committed = effects.find((effect) => effect.kind === 'stepCommitted');
  if (committed === undefined) return pace;
  const { step, seconds } = committed.value;
  if (step === generation.startStep || rules.firstSteps.has(step)) return pace;
  const usualMs = pace.usualStepMs ?? seconds * 1_000;
  return { ...pace, usualStepMs: usualMs + stepWeight * (seconds * 1_000 - usualMs) };
}

/** The first of the members that keep the others from going on, and why; null while there is no stall. */
export function findStall(
  rules: StallRules,
  state: Awaited,
  nowMs: number,
): { readonly index: number; readonly reason: string } | null {
  const allowedMs = allowanceOf(rules, state);
  if (nowMs - state.pace.progressedAtMs < allowedMs) return null;
  const [index, ...others] = membersBehind(state);
  if (index === undefined) return null;
  const activity = activityNames[state.members[index]!.activity] ?? 'it does not say what it is doing';
  const names = others.map((other) => nameMember(state, other)).join(', ');
  const othersText = names === '' ? '' : `; neither did ${names}`;
  return {
    index,
    reason: `it made no progress for ${Math.round(allowedMs / 1_000)} s, and ${activity}${othersText}`,
  };
}

function nameMember(state: Awaited, index: number): string {
  const { workerId } = state.members[index]!;
  return state.kind === 'regrouping' ? workerId : nameWorker({ workerId, rank: index });
}

function allowanceOf({ floorMs, multiple, firstMs, firstSteps }: StallRules, state: Awaited): number {
  const { usualStepMs } = state.pace;
  if (state.kind === 'preparing' || usualStepMs === null) return firstMs;
  const usual = Math.max(floorMs, multiple * usualStepMs);
  return firstSteps.has(state.progress.committed) ? Math.max(firstMs, usual) : usual;
}

/** Of those whose report is awaited: the busy ones; else those that reported the fewest steps. */
function membersBehind(state: Awaited): number[] {
  const owing = state.members.flatMap((_, index) => (owes(state, index) ? [index] : []));
  const busy = owing.filter((index) => isBusy(state.members[index]!.activity));
  if (busy.length > 0) return busy;
  if (state.kind === 'preparing' || state.kind === 'regrouping') return owing;
  const reported = (rank: number) => state.reports.reported[rank]!;
  const fewest = owing.reduce((least, rank) => Math.min(least, reported(rank)), Number.POSITIVE_INFINITY);
  return owing.filter((rank) => reported(rank) === fewest);
}

function owes(state: Awaited, index: number): boolean {
  if (state.kind === 'regrouping') return state.members[index]!.readiness.kind === 'interrupted';
  if (state.kind === 'preparing') return state.digests[index] === null;
  // Finished is reported once, under number 0; the entry is removed when all ranks have reported.
  return (state.reports.finished.get(0)?.[index] ?? null) === null;
}

function isBusy(activity: Activity): boolean {
  return activity === Activity.ACTIVITY_LOADING || activity === Activity.ACTIVITY_COMPUTING;
}
