import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { allocateShared } from '../../../runtime/shared-buffer.js';
import { allocateSumMemory } from '../../../worker/arithmetic/reduction-vector.js';
import { sameBits } from '../../support/tensorflow/same-bits.js';
import { gradientsOf, pieces, program, state } from '../../support/tensorflow/small-program.js';

beforeEach(() => program.load(state));
afterAll(() => program.close());

describe('state', () => {
  test('comes back bit for bit, moments included', () => {
    const marked = state.map((value, index) =>
      index >= program.state.first[0]!.offset ? index % 97 : value,
    );
    program.load(marked);
    expect(sameBits(program.save(), marked)).toBe(true);
  });

  test('is not tied to the memory that it came from or went to', () => {
    const given = state.slice();
    program.load(given);
    given.fill(0);
    const taken = program.save().fill(1);
    expect(sameBits(program.save(), state)).toBe(true);
    expect(taken.every((value) => value === 1)).toBe(true);
  });

  // With the second rate, decay changes the signs of all parameters.
  test.each([0.1, 1e3])(
    'has checksums that tell one bit, and come back with it after an update (%f)',
    (rate) => {
      const before = program.checksums();
      expect(program.checksums()).toEqual(before);
      const vector = gradientsOf(pieces.slice(0, 1));
      program.apply(vector, {
        trainable: 'all',
        learningRates: [rate, rate, rate],
        momentum: 0.9,
        averageDecay: null,
      });
      const [after, taken] = [program.checksums(), program.save()];
      expect(after).not.toEqual(before);
      for (const offset of [
        0,
        program.state.statistics[0]!.offset,
        program.state.first[3]!.offset,
        taken.length - 1,
      ]) {
        const bent = taken.slice();
        new Int32Array(bent.buffer)[offset]! ^= 1;
        program.load(bent);
        expect(program.checksums()).not.toEqual(after);
      }
      // What fills up rows of variables, and is not part of the state, counts for nothing.
      program.load(taken);
      expect(program.checksums()).toEqual(after);
    },
  );

  // With the second rate, what fills up rows is not 0 any more.
  test.each([0.1, 1e3])(
    'comes back as variables hold it, and goes on from there as it would have (%f)',
    (rate) => {
      const takeStep = (magnitude: number) => {
        const largest = new Float32Array(program.reduction('all').gradients.length).fill(magnitude);
        const learningRates = [rate, rate, rate];
        const update = { trainable: 'all', learningRates, momentum: 0.9, averageDecay: null } as const;
        program.apply(gradientsOf(pieces.slice(0, 1)), { ...update, largest });
        return program.save();
      };
      /** What the next sum's integers are multiples of. */
      const nextUnits = () => {
        const { vector, own } = allocateSumMemory(program.reduction('all').length);
        const request = { trainable: 'all', microBatches: 1, largest: null, vector, own } as const;
        return program.finishSum([program.sumAlone([{ ...pieces[0]!, microBatch: 0 }], request)]).units;
      };
      const first = takeStep(3);
      const held = new Float32Array(allocateShared(4 * program.held.length), 0, program.held.length);
      program.saveHeld(held);
      const [checksums, units, second] = [program.checksums(), nextUnits(), takeStep(300)];
      expect(nextUnits()).not.toEqual(units);
      program.load(state);
      program.loadHeld(held);
      held.fill(Number.NaN);
      expect(sameBits(program.save(), first)).toBe(true);
      expect(program.checksums()).toEqual(checksums);
      expect(nextUnits()).toEqual(units);
      expect(sameBits(takeStep(300), second)).toBe(true);
      expect(sameBits(second, first)).toBe(false);
    },
  );

  test('moments can be set to zero, and nothing else changes', () => {
    const marked = state.slice().fill(2, program.state.first[0]!.offset);
    program.load(marked);
    program.resetMoments();
    expect(sameBits(program.save(), state)).toBe(true);
  });
});
