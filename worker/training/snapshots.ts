import assert from 'node:assert/strict';
import { allocateShared } from '../../runtime/shared-buffer.js';
import type { StateLayout } from '../model/program.js';
import type { Compute, Digests } from './compute.js';

/** The training state after `step` steps. */
export interface Snapshot {
  readonly step: number;
  readonly digests: Digests;
  readonly layout: StateLayout;
  /** The flat state; unchanged for as long as the snapshot is lent. */
  readonly values: Float32Array;
}

interface Slot {
  readonly values: Float32Array;
  snapshot: Snapshot | undefined;
  readers: number;
  /** Being written: neither to be lent nor to be written again. */
  filling: boolean;
}

/**
 * The latest snapshots of the state, which the coordinator and joining workers copy while training goes on.
 */
export interface Snapshots {
  /** Copies the state out of TensorFlow. */
  take(step: number): Promise<Snapshot>;
  /** The snapshot of the current state, after `step` steps: taken unless it is held already. */
  hold(step: number): Promise<Snapshot>;
  /** Puts `fill`'s values where the next snapshot goes, as the state before step `step`. */
  put(step: number, fill: (values: Float32Array) => Promise<Digests>): Promise<Snapshot>;
  /** The snapshot after `step` steps, if it is still held; return it when it has been read. */
  lend(step: number): { snapshot: Snapshot; giveBack(): void } | undefined;
}

/** Memory is taken when first needed and reused: two states, and more only while readers hold older ones. */
export function createSnapshots(compute: Compute, layout: StateLayout): Snapshots {
  const slots: Slot[] = [];

  const freeSlot = (): Slot => {
    const free = slots.filter((slot) => slot.readers === 0 && !slot.filling);
    const oldest = free.sort((a, b) => (a.snapshot?.step ?? -1) - (b.snapshot?.step ?? -1))[0];
    if (oldest && slots.length >= 2) return oldest;
    const values = new Float32Array(allocateShared(layout.length * 4), 0, layout.length);
    const slot: Slot = { values, snapshot: undefined, readers: 0, filling: false };
    slots.push(slot);
    return slot;
  };

  const put: Snapshots['put'] = async (step, fill) => {
    const slot = freeSlot();
    // Should it differ from what is held for this step, that no longer counts.
    for (const other of slots) if (other.snapshot?.step === step) other.snapshot = undefined;
    slot.snapshot = undefined;
    slot.filling = true;
    try {
      const snapshot = { step, layout, values: slot.values, digests: await fill(slot.values) };
      slot.snapshot = snapshot;
      return snapshot;
    } finally {
      slot.filling = false;
    }
  };

  const take: Snapshots['take'] = (step) => put(step, (values) => compute.save(values));

  return {
    put,
    take,
    async hold(step) {
      return slots.find((slot) => slot.snapshot?.step === step)?.snapshot ?? take(step);
    },
    lend(step) {
      const slot = slots.find((candidate) => candidate.snapshot?.step === step);
      if (!slot?.snapshot) return undefined;
      slot.readers += 1;
      let lent = true;
      return {
        snapshot: slot.snapshot,
        giveBack() {
          assert(lent, 'a snapshot is given back once');
          lent = false;
          slot.readers -= 1;
        },
      };
    },
  };
}
