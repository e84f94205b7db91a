import assert from 'node:assert/strict';
import { linearTicks, logarithmicTicks, niceStep, type Tick } from './ticks.js';

/** [from, to]. Of pixels it may run backwards, as a vertical axis does. */
export type Interval = readonly [from: number, to: number];

/** Where values lie on paper. */
export interface Scale {
  readonly domain: Interval;
  readonly range: Interval;
  /** The pixel of a value; values outside the domain lie outside the range. */
  place(value: number): number;
  readonly ticks: readonly Tick[];
}

export function linearScale(domain: Interval, range: Interval, tickCount = 5): Scale {
  const span = domain[1] - domain[0] || 1;
  const place = (value: number) => range[0] + ((value - domain[0]) / span) * (range[1] - range[0]);
  return { domain, range, place, ticks: linearTicks(domain[0], domain[1], tickCount) };
}

/** Both ends of `domain` are above 0. */
export function logarithmicScale(domain: Interval, range: Interval): Scale {
  assert(domain[0] > 0 && domain[1] > 0, 'a logarithmic axis has no zero');
  const [from, to] = domain.map(Math.log);
  const span = to! - from! || 1;
  const place = (value: number) => range[0] + ((Math.log(value) - from!) / span) * (range[1] - range[0]);
  return { domain, range, place, ticks: logarithmicTicks(domain[0], domain[1]) };
}

/**
 * An interval that begins and ends with a round number and holds all finite `values`; [0, 1] when there are
 * none.
 */
export function niceDomain(values: Iterable<number>, tickCount = 5): Interval {
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    from = Math.min(from, value);
    to = Math.max(to, value);
  }
  if (from > to) return [0, 1];
  if (from === to) [from, to] = from === 0 ? [0, 1] : [Math.min(0, 2 * from), Math.max(0, 2 * from)];
  const step = niceStep(to - from, tickCount);
  return [Math.floor(from / step + 1e-9) * step, Math.ceil(to / step - 1e-9) * step];
}
