import type { FaultKind } from './faults.js';
import type { WatchedEvent } from './run-events.js';

/** What a run said or suffered, and when. */
export type Moment = { readonly atMs: number } & (
  | { readonly what: 'event'; readonly event: WatchedEvent }
  | { readonly what: 'fault'; readonly kind: FaultKind; readonly worker: string | null }
);

/** In seconds. */
export interface Quantiles {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly largest: number;
}

/** What the faults of a run cost. */
export interface FaultFigures {
  /** From the fault until the coordinator says that the worker is lost: killed; stopped or cut off. */
  readonly detection: { readonly closed: Quantiles | null; readonly silent: Quantiles | null };
  /** From there until the next generation begins its first step. */
  readonly recovery: Quantiles | null;
  /** From there until the next generation has committed a step. */
  readonly stepping: Quantiles | null;
  /** The same where an evaluation came before that: until it is done, all of it that was left. */
  readonly evaluating: Quantiles | null;
  /** How long training stood still when a worker joined or left. */
  readonly pause: Quantiles | null;
  /** From the coordinator's death until the next step is committed. */
  readonly coordinatorBack: Quantiles | null;
  /** Steps that were cut off and taken again, and how many losses and complaints there were. */
  readonly stepsRedone: number;
  readonly losses: number;
  /** Steps taken again because nobody held their state: from a checkpoint on. */
  readonly stepsRolledBack: number;
  /** Times that this came without a reason: fewer workers were hit than had held the state. */
  readonly needlessRollbacks: number;
}

type Event<Kind extends WatchedEvent['kind']> = Extract<WatchedEvent, { kind: Kind }>;

/** @param workers that the run began with. */
export function measureFaults(moments: readonly Moment[], workers: number): FaultFigures {
  const detection = { closed: [] as number[], silent: [] as number[] };
  const again = { step: [] as number[], epoch: [] as number[] };
  const [recovery, pause, back]: number[][] = [[], [], []];
  let stepsRedone = 0;
  let losses = 0;
  let stepsRolledBack = 0;
  let steps = 0;
  for (const [index, moment] of moments.entries()) {
    const after = moments.slice(index + 1);
    if (moment.what === 'fault') {
      const { kind, worker, atMs } = moment;
      const lost = worker === null ? null : findLoss(after, worker);
      if (kind === 'kill' && lost !== null) detection.closed.push((lost - atMs) / 1_000);
      if ((kind === 'stop' || kind === 'partition') && lost !== null)
        detection.silent.push((lost - atMs) / 1_000);
      const step = kind === 'coordinator' ? firstEvent(after, 'step') : null;
      if (step !== null) back.push((step.atMs - atMs) / 1_000);
      continue;
    }
    const { event, atMs } = moment;
    if (event.kind === 'step') steps = event.step + 1;
    if (event.kind === 'worker-lost') {
      const { begun, work } = findNext(after);
      if (begun !== null) recovery.push((begun - atMs) / 1_000);
      if (work !== null) again[work.kind].push((work.atMs - atMs) / 1_000);
    }
    if (event.kind === 'recovered') {
      stepsRedone += event.stepsRedone;
      losses += event.causes.filter(({ kind }) => kind === 'loss' || kind === 'complaint').length;
      const isPlanned = event.causes.every(({ kind }) => kind === 'join' || kind === 'leave');
      if (isPlanned) pause.push(event.seconds);
    }
    if (event.kind === 'rolled-back') stepsRolledBack += event.fromStep - event.toStep;
    if (event.kind === 'prepared') {
      const first = firstEvent(after, 'step')?.event.step ?? event.startStep;
      stepsRolledBack += Math.max(0, steps - first);
    }
  }
  return {
    detection: { closed: quantiles(detection.closed), silent: quantiles(detection.silent) },
    ...{ recovery: quantiles(recovery), stepping: quantiles(again.step), evaluating: quantiles(again.epoch) },
    ...{ pause: quantiles(pause), coordinatorBack: quantiles(back) },
    ...{ stepsRedone, losses, stepsRolledBack },
    needlessRollbacks: countNeedlessRollbacks(moments, workers),
  };
}

/** Every worker of a generation holds the state: as long as one of them is let alone, no step is given up. */
function countNeedlessRollbacks(moments: readonly Moment[], workers: number): number {
  let [holders, hit, isExcused, count] = [workers, new Set<string>(), false, 0];
  for (const moment of moments) {
    if (moment.what === 'fault') {
      // Scaling and the coordinator's death take away whom this does not know.
      if (moment.worker === null) isExcused = true;
      else hit.add(moment.worker);
    } else if (moment.event.kind === 'recovered') {
      [holders, hit, isExcused] = [moment.event.worldSize, new Set(), false];
    } else if (moment.event.kind === 'rolled-back') {
      if (!isExcused && hit.size < holders) count += 1;
      isExcused = true;
    }
  }
  return count;
}

/** When `worker` was lost, unless something else was done to it before. */
function findLoss(after: readonly Moment[], worker: string): number | null {
  for (const moment of after) {
    if (moment.what === 'fault' && (moment.worker === worker || moment.kind === 'coordinator')) return null;
    if (moment.what !== 'event' || moment.event.kind !== 'worker-lost') continue;
    if (moment.event.worker === worker) return moment.atMs;
  }
  return null;
}

/**
 * When the generation that follows has begun, and had done something: a step, or an evaluation that was cut off in the
 * one before; null what the coordinator's death came before.
 */
function findNext(after: readonly Moment[]): {
  begun: number | null;
  work: { atMs: number; kind: 'step' | 'epoch' } | null;
} {
  let begun: number | null = null;
  for (const moment of after) {
    if (moment.what === 'fault' && moment.kind === 'coordinator') break;
    if (moment.what !== 'event') continue;
    const { atMs, event } = moment;
    if (event.kind === 'recovered') begun ??= atMs;
    if ((event.kind === 'step' || event.kind === 'epoch') && begun !== null) {
      return { begun, work: { atMs, kind: event.kind } };
    }
  }
  return { begun, work: null };
}

function firstEvent<Kind extends WatchedEvent['kind']>(
  moments: readonly Moment[],
  kind: Kind,
): { readonly atMs: number; readonly event: Event<Kind> } | null {
  for (const moment of moments) {
    if (moment.what !== 'event' || moment.event.kind !== kind) continue;
    return { atMs: moment.atMs, event: moment.event as Event<Kind> };
  }
  return null;
}

/** By nearest rank: a value that was measured. */
export function quantiles(values: readonly number[]): Quantiles | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
  return { count: sorted.length, p50: at(0.5), p95: at(0.95), largest: sorted.at(-1)! };
}

/** From a run's first step to its last, in seconds; pauses and what was taken again included. */
export function trainingSeconds(moments: readonly Moment[]): number {
  const times = moments.flatMap((moment) =>
    moment.what === 'event' && moment.event.kind === 'step'
      ? [moment.atMs - 1_000 * moment.event.seconds]
      : [],
  );
  const last = moments.findLast((moment) => moment.what === 'event' && moment.event.kind === 'step');
  return times.length === 0 ? 0 : (last!.atMs - times[0]!) / 1_000;
}
