import { expect } from 'vitest';
import type { Decided } from '../../coordinator/membership/cluster-events.js';
import type { Effect } from '../../coordinator/membership/membership-events.js';
import type { Adopted } from '../../coordinator/membership/reattach.js';
import { idsOf } from './membership-driver.js';

/** What the coordinator of a model has put on its disk. Each step must come once, in order, and whole. */
export interface ModelLedger {
  /** Steps that count, in order. */
  readonly committed: readonly number[];
  /** Epochs whose evaluation and digests are there, in order. */
  readonly closedEpochs: readonly number[];
  readonly newestGeneration: bigint;
  record(effect: Effect): void;
  /** To the newest checkpoint, which the model has after every epoch that was closed: returns its step. */
  goBack(): number;
  /** What another coordinator goes on with when this one dies; null where it must go back. */
  adopt(): Adopted | null;
}

export function openModelLedger(stepsPerEpoch: number): ModelLedger {
  const committed: number[] = [];
  const closedEpochs: number[] = [];
  const [evaluated, digested] = [new Set<number>(), new Set<number>()];
  let newestGeneration = 0n;
  let begun: Decided['begun'] = null;

  const close = (side: Set<number>, epoch: number, step: number) => {
    expect(step).toBe((epoch + 1) * stepsPerEpoch);
    side.add(epoch);
    if (!evaluated.has(epoch) || !digested.has(epoch) || closedEpochs.includes(epoch)) return;
    expect(epoch).toBe(closedEpochs.length);
    closedEpochs.push(epoch);
  };

  return {
    ...{ committed, closedEpochs },
    get newestGeneration() {
      return newestGeneration;
    },
    record(effect) {
      if (effect.kind === 'decided') begun = effect.value.begun;
      if (effect.kind === 'assigned') {
        expect(effect.generation.number).toBeGreaterThan(newestGeneration);
        newestGeneration = effect.generation.number;
      }
      if (effect.kind === 'stepCommitted') {
        const { step, shares, samples } = effect.value;
        expect(step).toBe(committed.length);
        const ids = shares.flatMap((share) => [...share]);
        expect(ids.length).toBe(samples);
        expect(ids.toSorted((a, b) => a - b)).toEqual(idsOf(step, 0, 1));
        committed.push(step);
      }
      if (effect.kind === 'evaluated') close(evaluated, effect.value.epoch, effect.value.step);
      if (effect.kind === 'epochCompleted' && effect.value.whole) {
        close(digested, effect.value.epoch, effect.value.step);
      }
    },
    goBack() {
      committed.length = closedEpochs.length * stepsPerEpoch;
      for (const side of [evaluated, digested]) side.delete(closedEpochs.length);
      return committed.length;
    },
    adopt() {
      // What had been heard and was not recorded yet is forgotten.
      for (const side of [evaluated, digested]) {
        side.clear();
        for (const epoch of closedEpochs) side.add(epoch);
      }
      if (begun === null || committed.length < begun.startStep) return null;
      const closedEpoch = closedEpochs.length - 1;
      return { newest: newestGeneration, begun, committed: committed.length, closedEpoch };
    },
  };
}
