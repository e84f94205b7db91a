import assert from 'node:assert/strict';
import { RondoError } from '../../runtime/errors.js';
import { allocateShared } from '../../runtime/shared-buffer.js';
import type { TensorSpec } from '../model/blocks.js';
import { stateTensors } from '../model/layout.js';
import type { HeldLayout, StateLayout } from '../model/program.js';
import type { Compute } from './compute.js';
import { type Digests, digestState } from './state-digests.js';

/** What the values of a state are. */
export interface StateForm {
  readonly length: number;
  /** Where each tensor is in the flat state; none where the values are those of variables, as they are held. */
  readonly tensors: readonly TensorSpec[];
}

/** The training state after `step` steps. */
export interface Snapshot {
  readonly step: number;
  /** Computed when they are first asked for, which must be before the snapshot is replaced. */
  digests(): Promise<Digests>;
  readonly form: StateForm;
  /** The state; unchanged for as long as the snapshot is lent. */
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
  readonly form: StateForm;
  /** Copies the state out of TensorFlow. */
  take(step: number): Promise<Snapshot>;
  /** The snapshot of the current state, after `step` steps: taken unless it is held, or being taken, already. */
  hold(step: number): Promise<Snapshot>;
  /** Puts `fill`'s values where the next snapshot goes, as the state before step `step`. */
  put(step: number, fill: (values: Float32Array) => Promise<void>): Promise<Snapshot>;
  /** The snapshot after `step` steps, if it is still held; return it when it has been read. */
  lend(step: number): LentSnapshot | undefined;
}

export interface LentSnapshot {
  readonly snapshot: Snapshot;
  giveBack(): void;
}

/** Flat, as checkpoints have them. */
export function createSnapshots(compute: Pick<Compute, 'save'>, layout: StateLayout): Snapshots {
  return openSnapshots({
    form: { length: layout.length, tensors: stateTensors(layout) },
    save: (values) => compute.save(values),
    digest: (values) => digestState(values, layout),
    kept: 2,
  });
}

/** As variables hold them, for workers that join: taken and put in little time, and told from others by the checksum. */
export function createHeldSnapshots(compute: Pick<Compute, 'saveHeld'>, { length }: HeldLayout): Snapshots {
  return openSnapshots({
    form: { length, tensors: [] },
    save: (values) => compute.saveHeld(values),
    digest: () => Promise.reject(new RondoError('internal', 'digests are those of the flat state')),
    kept: 1,
  });
}

/** Memory is taken when first needed and reused: `kept` states, and more only while readers hold older ones. */
function openSnapshots(o: {
  readonly form: StateForm;
  save(values: Float32Array): Promise<void>;
  digest(values: Float32Array): Promise<Digests>;
  readonly kept: number;
}): Snapshots {
  const { form, kept } = o;
  const { length } = form;
  const slots: Slot[] = [];
  /** What `hold` takes just now. */
  let holding: { readonly step: number; readonly taken: Promise<Snapshot> } | undefined;

  const freeSlot = (): Slot => {
    const free = slots.filter((slot) => slot.readers === 0 && !slot.filling);
    const oldest = free.sort((a, b) => (a.snapshot?.step ?? -1) - (b.snapshot?.step ?? -1))[0];
    if (oldest && slots.length >= kept) return oldest;
    const values = new Float32Array(allocateShared(length * 4), 0, length);
    const slot: Slot = { values, snapshot: undefined, readers: 0, filling: false };
    slots.push(slot);
    return slot;
  };

  const describe = (step: number, slot: Slot): Snapshot => {
    const { values } = slot;
    let digests: Promise<Digests> | undefined;
    const snapshot: Snapshot = {
      ...{ step, form, values },
      digests() {
        if (digests !== undefined) return digests;
        assert(slot.snapshot === snapshot, 'a snapshot is digested before it is replaced');
        slot.readers += 1;
        digests = o.digest(values).finally(() => {
          slot.readers -= 1;
        });
        return digests;
      },
    };
    return snapshot;
  };

  const put: Snapshots['put'] = async (step, fill) => {
    const slot = freeSlot();
    // Should it differ from what is held for this step, that no longer counts.
    for (const other of slots) if (other.snapshot?.step === step) other.snapshot = undefined;
    slot.snapshot = undefined;
    slot.filling = true;
    try {
      await fill(slot.values);
      slot.snapshot = describe(step, slot);
      return slot.snapshot;
    } finally {
      slot.filling = false;
    }
  };

  const take: Snapshots['take'] = (step) => put(step, (values) => o.save(values));

  return {
    ...{ form, put, take },
    async hold(step) {
      const held = slots.find((slot) => slot.snapshot?.step === step)?.snapshot;
      if (held !== undefined) return held;
      if (holding?.step === step) return holding.taken;
      const taken = take(step).finally(() => {
        if (holding?.taken === taken) holding = undefined;
      });
      holding = { step, taken };
      return taken;
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
