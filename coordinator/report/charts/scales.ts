import assert from 'node:assert/strict';
import { scaleLinear, scaleLog } from 'd3-scale';
import { largest, smallest } from '../../../runtime/extremes.js';

/** [from, to]. Of pixels it may run backwards, as a vertical axis does. */
export type Interval = readonly [from: number, to: number];

/** A mark on an axis; minor ones have no label. */
export interface Tick {
  readonly value: number;
  readonly label: string;
}

/** Where values lie on paper. */
export interface Scale {
  /** The pixel of a value; values outside the domain lie outside the range. */
  place(value: number): number;
  readonly ticks: readonly Tick[];
}

/** With about `tickCount` ticks at round numbers. */
export function linearScale(domain: Interval, range: Interval, tickCount = 5): Scale {
  const scale = scaleLinear(domain, range);
  const farthest = Math.max(Math.abs(domain[0]), Math.abs(domain[1]));
  const plain = farthest < 1e6 && farthest >= 1e-4;
  const label = scale.tickFormat(tickCount, plain || farthest === 0 ? 'f' : 'e');
  return { place: scale, ticks: scale.ticks(tickCount).map((value) => ({ value, label: label(value) })) };
}

/**
 * Both ends of `domain` are above 0. Powers of ten have a label, and 2 … 9 times each have none; where no power
 * of ten lies inside, all have one.
 */
export function logarithmicScale(domain: Interval, range: Interval): Scale {
  assert(domain[0] > 0 && domain[1] > 0, 'a logarithmic axis has no zero');
  // 3 / 1000 is not quite 0.003: without rounding, a tick at the end may fall off it.
  const [from, to] = domain.map((value) => Number(value.toPrecision(12))) as [number, number];
  const scale = scaleLog([from, to], range);
  // d3 marks the multiples of powers where it is asked for more ticks than there are decades.
  const values = scale.ticks(Math.ceil(Math.log10(to / from)) + 1);
  const isPower = (value: number) => value === Number(`1e${exponentOf(value)}`);
  const labels = values.some(isPower)
    ? values.map((value) => (isPower(value) ? formatPowerOfTen(exponentOf(value)) : ''))
    : values.map((value) => String(Number(value.toPrecision(3))));
  return { place: scale, ticks: values.map((value, index) => ({ value, label: labels[index]! })) };
}

/**
 * An interval that begins and ends with a round number and holds all finite `values`; [0, 1] when there are
 * none.
 */
export function niceDomain(values: readonly number[], tickCount = 5): Interval {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return [0, 1];
  let [from, to] = [smallest(finite), largest(finite)];
  if (from === to) [from, to] = from === 0 ? [0, 1] : [Math.min(0, 2 * from), Math.max(0, 2 * from)];
  return scaleLinear([from, to], [0, 1]).nice(tickCount).domain() as [number, number];
}

function exponentOf(value: number): number {
  return Math.round(Math.log10(value));
}

/** 10⁻³; 1 and 10 as they are. */
export function formatPowerOfTen(exponent: number): string {
  if (exponent === 0) return '1';
  if (exponent === 1) return '10';
  return `10${[...String(exponent)].map((sign) => (sign === '-' ? '⁻' : '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(sign)])).join('')}`;
}
