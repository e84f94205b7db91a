import type { TimedEvent } from '../support/coordinator-run.js';
import { type Environment, formatEnvironment } from '../support/environment.js';
import { type Quantiles, quantilesOf } from '../support/quantiles.js';
import { formatTable } from '../support/table.js';

/**
 * What a start comes to, in order: images known, workers launched, all of them in the ring, the first step
 * committed.
 */
const milestones = ['prepared', 'waiting', 'assigned', 'step'] as const;

type Milestone = (typeof milestones)[number];

/** An event, and the processor time, in seconds, that each worker had taken by then. */
export type HeardEvent = TimedEvent & { readonly workerSeconds: number };

/** By the first event of each kind. */
export interface Arrivals {
  /** Seconds from the start of the program. */
  readonly seconds: Readonly<Record<Milestone, number>>;
  /** Processor time of a worker, in seconds: the mean of all. */
  readonly workerSeconds: Readonly<Record<Milestone, number>>;
}

export interface StartUpReport {
  readonly bench: 'start-up';
  readonly workers: number;
  readonly repeats: number;
  readonly environment: Environment;
  /** Over the runs, of `Arrivals`. */
  readonly arrivals: Readonly<Record<keyof Arrivals, Readonly<Record<Milestone, Quantiles>>>>;
}

/** @throws Error when the run ended before one of them. */
export function arrivalsOf(heard: readonly HeardEvent[]): Arrivals {
  const firstOf = (kind: Milestone) => {
    const first = heard.find(({ event }) => event.kind === kind);
    if (first === undefined) throw new Error(`the run ended before its first event '${kind}'`);
    return first;
  };
  return {
    seconds: byMilestone((kind) => firstOf(kind).seconds),
    workerSeconds: byMilestone((kind) => firstOf(kind).workerSeconds),
  };
}

export function summarize(arrivals: readonly Arrivals[]): StartUpReport['arrivals'] {
  const of = (figure: keyof Arrivals) =>
    byMilestone((kind) => quantilesOf(arrivals.map((each) => each[figure][kind])));
  return { seconds: of('seconds'), workerSeconds: of('workerSeconds') };
}

function byMilestone<T>(of: (kind: Milestone) => T): Record<Milestone, T> {
  return Object.fromEntries(milestones.map((kind) => [kind, of(kind)])) as Record<Milestone, T>;
}

const texts: Record<Milestone, string> = {
  prepared: 'images indexed',
  waiting: 'workers launched',
  assigned: 'all in the ring',
  step: 'first step committed',
};

export function formatReport({ workers, repeats, environment, arrivals }: StartUpReport): string {
  const rows = milestones.map((kind) => {
    const { median, p10, p90 } = arrivals.seconds[kind];
    const figures = [median, p10, p90, arrivals.workerSeconds[kind].median];
    return [texts[kind], ...figures.map((value) => value.toFixed(2))];
  });
  return [
    `start-up: coordinator start --workers ${workers} on the sample set, ${repeats} runs`,
    formatEnvironment(environment),
    '',
    formatTable(['seconds after the start', 'median', 'p10', 'p90', 'CPU s of a worker'], rows),
  ].join('\n');
}
