import { Activity, type Attachment } from '../../proto/gen/coordinator.js';
import type { BegunGeneration } from './cluster-events.js';
import type { Effect, Transition } from './membership-events.js';
import type { Candidate, Generation, Regrouping } from './membership-state.js';
import { settle } from './regrouping.js';
import { noReports, recordedIn } from './reports.js';
import type { Rules } from './rules.js';
import { beginPace } from './stall.js';

/** What a coordinator takes up that another left when it died. */
export interface Adopted {
  readonly newest: bigint;
  readonly begun: BegunGeneration;
  /** Steps in the ledger, counted over the run, at least as many as the generation began with. */
  readonly committed: number;
  /** The last epoch in the ledger; -1 before the first. */
  readonly closedEpoch: number;
}

/** Workers that were told of no change go on as they are: each of them is waited for. */
export function awaitReturn(rules: Rules, adopted: Adopted, nowMs: number): Regrouping {
  const { newest, begun, committed, closedEpoch } = adopted;
  const { startDigest, ...place } = begun;
  const origins = begun.places.map(() => ({ kind: 'own' }) as const);
  const generation: Generation = { ...place, origins };
  const reported = generation.places.map(() => committed);
  return {
    ...{ kind: 'regrouping', checkedAtMs: nowMs, isShort: false, start: null, stopRequested: null },
    interrupted: { ...generation, number: newest },
    ended: { generation, reports: { ...noReports(generation, startDigest), reported } },
    members: generation.places.map(({ rank, workerId, address, host, pid }): Candidate => {
      return {
        // Of no session: their numbers begin with 1.
        ...{ session: -1 - rank, workerId, address, host, zone: '', pid },
        // It may try again just before it is heard.
        heardAtMs: nowMs + rules.silenceMs,
        ...{ activity: Activity.ACTIVITY_UNSPECIFIED, evaluated: 0, leaving: false },
        readiness: { kind: 'away' },
      };
    }),
    pace: beginPace(nowMs),
    progress: { committed, evaluatedEpoch: closedEpoch, digestedEpoch: closedEpoch, fruitless: 0 },
    change: { causes: [{ kind: 'restart' }], sinceMs: nowMs, cutStep: false },
  };
}

/** Whether a worker that registers is the one that is waited for, and still has what it is waited for with. */
export function mayAttach({ interrupted, ended }: Regrouping, attachment: Attachment | undefined): boolean {
  const { generation } = attachment ?? {};
  return generation === interrupted.number || generation === ended?.generation.number;
}

/** It keeps its place, and repeats what may not have been recorded. */
export function attach(
  rules: Rules,
  before: Regrouping,
  away: Candidate,
  { session, zone = '' }: { readonly session: number; readonly zone?: string | undefined },
  { generation, training }: Attachment,
  nowMs: number,
): Transition {
  // Where a newer generation was decided, somebody may have been told.
  const isTraining = training && generation === before.interrupted.number;
  const back: Candidate = {
    ...{ ...away, session, zone, heardAtMs: nowMs },
    readiness: { kind: 'attached', training: isTraining },
  };
  const members = before.members.map((member) => (member === away ? back : member));
  const value = { ...rules.welcome, attached: recordedIn(before.progress), underWay: true };
  const welcome: Effect = { kind: 'send', session, message: { message: { $case: 'welcome', value } } };
  const next = settle(rules, { ...before, members }, nowMs);
  return { state: next.state, effects: [welcome, ...next.effects] };
}
