import type { TimedEvent } from '../support/coordinator-run.js';
import { type Environment, formatEnvironment } from '../support/environment.js';
import { type Quantiles, quantilesOf } from '../support/quantiles.js';
import { formatTable } from '../support/table.js';

/**
 * What a start comes to, in order: images known, workers launched, all of them in the ring, the first step
 * committed.
 */
const milestones = ['prepared', 'waiting', 'assigned', 'step'] as const;

/** Seconds from the start of the program to the first event of each kind. */
export type Arrivals = Readonly<Record<(typeof milestones)[number], number>>;

export interface StartUpReport {
  readonly bench: 'start-up';
  readonly workers: number;
  readonly repeats: number;
  readonly environment: Environment;
  /** Over the runs, of `Arrivals`. */
  readonly arrivals: Readonly<Record<keyof Arrivals, Quantiles>>;
}

/** @throws Error when the run ended before one of them. */
export function arrivalsOf(heard: readonly TimedEvent[]): Arrivals {
  const times = milestones.map((kind) => {
    const first = heard.find(({ event }) => event.kind === kind);
    if (first === undefined) throw new Error(`the run ended before its first event '${kind}'`);
    return [kind, first.seconds] as const;
  });
  return Object.fromEntries(times) as Arrivals;
}

export function summarize(arrivals: readonly Arrivals[]): StartUpReport['arrivals'] {
  const quantiles = milestones.map(
    (kind) => [kind, quantilesOf(arrivals.map((each) => each[kind]))] as const,
  );
  return Object.fromEntries(quantiles) as StartUpReport['arrivals'];
}

const texts: Record<(typeof milestones)[number], string> = {
  prepared: 'images indexed',
  waiting: 'workers launched',
  assigned: 'all in the ring',
  step: 'first step committed',
};

export function formatReport({ workers, repeats, environment, arrivals }: StartUpReport): string {
  const rows = milestones.map((kind) => {
    const { median, p10, p90 } = arrivals[kind];
    return [texts[kind], ...[median, p10, p90].map((value) => value.toFixed(2))];
  });
  return [
    `start-up: coordinator start --workers ${workers} on the sample set, ${repeats} runs`,
    formatEnvironment(environment),
    '',
    formatTable(['seconds after the start', 'median', 'p10', 'p90'], rows),
  ].join('\n');
}
