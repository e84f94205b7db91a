import type { HeldLayout, ReductionLayout, StateLayout } from './layout.js';

/** What the session's state says of updates, so that an update and a sum need not ask for it. */
export interface FollowedState {
  /** That the moments have seen. */
  updates: number;
  /** Largest magnitude of each parameter's gradient in any micro-batch of the last update; 0 before the first. */
  readonly amax: Float32Array;
  /** A state was loaded: the flat one, unless it is said where they are. */
  load(values: Float32Array, at?: Pick<HeldLayout, 'updates' | 'amax'>): void;
  /** The moments were set to zero. */
  reset(): void;
  /** Of the gradients of a reduction, in their order. */
  largestOf(reduction: ReductionLayout): Float32Array;
  /** The same of an update; what is 0 stays as it was. */
  setLargest(reduction: ReductionLayout, largest: Float32Array): void;
}

export function followState(layout: StateLayout): FollowedState {
  const { parameters } = layout;
  const amax = new Float32Array(parameters.length);
  const flat = { updates: layout.updates.offset, amax: layout.amax.offset };
  const places = new Map(parameters.map(({ name }, index) => [name, index]));
  const followed: FollowedState = {
    ...{ updates: 0, amax },
    load(values, at = flat) {
      followed.updates = values[at.updates]!;
      amax.set(values.subarray(at.amax, at.amax + amax.length));
    },
    reset() {
      followed.updates = 0;
      amax.fill(0);
    },
    largestOf: ({ gradients }) => Float32Array.from(gradients, ({ name }) => amax[places.get(name)!]!),
    setLargest({ gradients }, largest) {
      for (const [index, { name }] of gradients.entries()) {
        if (largest[index] !== 0) amax[places.get(name)!] = largest[index]!;
      }
    },
  };
  return followed;
}
