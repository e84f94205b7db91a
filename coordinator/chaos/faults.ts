import { openStream } from '../../plan/random.js';

/** What is done to a run. */
export const faultKinds = ['kill', 'stop', 'partition', 'leave', 'scale', 'coordinator'] as const;
export type FaultKind = (typeof faultKinds)[number];

/** When a fault comes, and what was drawn for it; whom it hits is decided when the members are known. */
export interface PlannedFault {
  readonly kind: FaultKind;
  /** Steps that are committed before it. */
  readonly afterStep: number;
  /** How far into the next step it comes, as a share of the usual step. */
  readonly within: number;
  /** In [0, 1): picks the worker, or the number of workers. */
  readonly choice: number;
  /** How long a worker is stopped, cut off, or stays away, or the coordinator is not started again. */
  readonly seconds: number;
  /** Of a partition: what the worker is sent still arrives. */
  readonly oneWay: boolean;
}

/** How long each lasts, in seconds, from and to; drawn so that each doubling is as likely as another. */
const durations: Record<FaultKind, readonly [number, number]> = {
  kill: [0, 0],
  stop: [3, 30],
  partition: [3, 30],
  leave: [1, 10],
  scale: [0, 0],
  coordinator: [0.5, 5],
};

/** Of the steps between two faults, the part in which the second may come. */
const spread = 0.8;

/**
 * `count` faults over a run of `steps`, evenly but for a part that is drawn. The same seed gives the same
 * faults; each kind comes equally often.
 */
export function planFaults(o: {
  readonly seed: number;
  readonly count: number;
  readonly kinds: readonly FaultKind[];
  readonly steps: number;
}): PlannedFault[] {
  const { seed, count, kinds, steps } = o;
  const between = (steps - 1) / count;
  const order = openStream(seed, 'faults');
  /** What is left of one round of all kinds. */
  let left: FaultKind[] = [];
  return Array.from({ length: count }, (_, index): PlannedFault => {
    if (left.length === 0) left = [...kinds];
    const [kind] = left.splice(order.below(left.length), 1);
    const stream = openStream(seed, 'faults', 1 + index);
    const at = between * (index + spread * stream.unit());
    const [least, most] = durations[kind!];
    return {
      kind: kind!,
      afterStep: 1 + Math.min(steps - 2, Math.floor(at)),
      within: stream.unit(),
      choice: stream.unit(),
      seconds: most === 0 ? 0 : least * (most / least) ** stream.unit(),
      oneWay: stream.unit() < 0.5,
    };
  });
}

/** The element of a list that a draw picks; undefined of none. */
export function pick<T>(from: readonly T[], choice: number): T | undefined {
  return from[Math.floor(choice * from.length)];
}
