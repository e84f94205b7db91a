import { expect, test } from 'vitest';
import { cutMicroBatches, divideRest, shareOf } from '../../plan/micro-batches.js';

const counts = [0, 1, 2, 3, 5, 7, 8, 15, 16, 17, 23, 24, 25, 31, 33, 63, 64, 65, 100, 257];

test('micro-batches partition the global batch, in order', () => {
  for (const count of counts) {
    for (let microBatch = 1; microBatch <= 33; microBatch += 1) {
      const pieces = cutMicroBatches(count, microBatch);
      let next = 0;
      for (const { start, end } of pieces) {
        expect(start).toBe(next);
        expect(end).toBeGreaterThan(start);
        next = end;
      }
      expect(next).toBe(count);
    }
  }
});

test('all but the last have the given size; the last has at least half of it and less than one and a half', () => {
  for (const count of counts) {
    for (let microBatch = 1; microBatch <= 33; microBatch += 1) {
      const sizes = cutMicroBatches(count, microBatch).map(({ start, end }) => end - start);
      const last = sizes.pop() ?? 0;
      expect(sizes.every((size) => size === microBatch)).toBe(true);
      if (sizes.length === 0 && last < microBatch) expect(last).toBe(count);
      else expect(last).toBeGreaterThanOrEqual(microBatch / 2);
      expect(last).toBeLessThan(Math.max(1.5 * microBatch, microBatch + 1.5));
      if (count > 1 && microBatch > 1) expect(last).toBeGreaterThan(1);
    }
  }
});

test.each([
  [64, 16, [16, 16, 16, 16]],
  [70, 16, [16, 16, 16, 22]],
  [72, 16, [16, 16, 16, 16, 8]],
  [5, 16, [5]],
  [3, 2, [3]],
])('%i samples by %i', (count, microBatch, expected) => {
  expect(cutMicroBatches(count, microBatch).map(({ start, end }) => end - start)).toEqual(expected);
});

test('shares partition the items whatever the world; sizes differ by at most one, larger first', () => {
  for (const count of counts) {
    for (let world = 1; world <= 9; world += 1) {
      const shares = Array.from({ length: world }, (_, rank) => shareOf(count, rank, world));
      const sizes = shares.map(({ start, end }) => end - start);
      expect(shares[0]!.start).toBe(0);
      expect(shares.at(-1)!.end).toBe(count);
      for (let rank = 1; rank < world; rank += 1) expect(shares[rank]!.start).toBe(shares[rank - 1]!.end);
      expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
      expect(sizes[0]! - sizes.at(-1)!).toBeLessThanOrEqual(1);
    }
  }
});

test('of a step that was cut off, ranks keep what they have done, and divide the rest evenly', () => {
  for (let count = 0; count <= 9; count += 1) {
    for (let world = 2; world <= 5; world += 1) {
      const whole = Array.from({ length: world }, (_, rank) => {
        const { start, end } = shareOf(count, rank, world);
        return Array.from({ length: end - start }, (__, index) => start + index);
      });
      for (const lost of whole.keys()) {
        const survivors = whole.toSpliced(lost, 1);
        // One of them may have been too late to keep anything, and another one may be new.
        for (const done of [survivors, survivors.with(-1, []), [...survivors, []]]) {
          const shares = divideRest(count, done);
          expect(shares.flat().toSorted((a, b) => a - b)).toEqual([...Array(count).keys()]);
          const added = shares.map((share, rank) => {
            expect(share).toEqual(share.toSorted((a, b) => a - b));
            expect(done[rank]!.every((position) => share.includes(position))).toBe(true);
            return share.length - done[rank]!.length;
          });
          expect(Math.max(...added) - Math.min(...added)).toBeLessThanOrEqual(1);
        }
      }
    }
  }
});

test('what a rank cannot have done of a step counts as not done', () => {
  expect(divideRest(4, [[0, 7, -1], [0, 3], [2]])).toEqual([[0, 1], [3], [2]]);
  expect(divideRest(0, [[1], []])).toEqual([[], []]);
  expect(divideRest(3, [[0], [1, 2], []])).toEqual([[0], [1, 2], []]);
});
