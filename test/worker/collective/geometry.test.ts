import { describe, expect, it } from 'vitest';
import {
  addsAt,
  chunkBytes,
  cutBlocks,
  elementBytes,
  finishesAt,
  hopCount,
  predecessorOf,
  receivedSegment,
  segmentOf,
  sentSegment,
  successorOf,
} from '../../../worker/collective/geometry.js';

const worlds = [2, 3, 4, 5, 8];

describe('cutBlocks', () => {
  it.each(['float32', 'bfloat16'] as const)(
    'covers every element once and never straddles exactFrom (%s)',
    (wire) => {
      for (const worldSize of worlds) {
        for (const length of [0, 1, 7, 131_072, 1_000_003]) {
          for (const exactFrom of [0, 1, Math.floor(length / 3), length].filter((at) => at <= length)) {
            const blocks = cutBlocks({ length, exactFrom, worldSize, wire });
            let next = 0;
            for (const block of blocks) {
              expect(block.offset).toBe(next);
              expect(block.count).toBeGreaterThan(0);
              expect(block.wire).toBe(block.offset < exactFrom ? wire : 'float32');
              next = block.offset + block.count;
              expect(block.offset < exactFrom && next > exactFrom).toBe(false);
              for (let index = 0; index < worldSize; index += 1) {
                const { count } = segmentOf(block, worldSize, index);
                expect(count * elementBytes[block.wire]).toBeLessThanOrEqual(
                  chunkBytes + elementBytes[block.wire],
                );
              }
            }
            expect(next).toBe(length);
          }
        }
      }
    },
  );
});

describe('segmentOf', () => {
  it('divides a block among the ranks, down to blocks smaller than the world', () => {
    for (const worldSize of worlds) {
      for (const count of [1, worldSize - 1, worldSize, 100]) {
        const block = { offset: 50, count, wire: 'float32' } as const;
        const segments = Array.from({ length: worldSize }, (_, index) => segmentOf(block, worldSize, index));
        expect(segments[0].offset).toBe(50);
        for (const [index, segment] of segments.entries()) {
          const end = segments[index + 1]?.offset ?? 50 + count;
          expect(segment.offset + segment.count).toBe(end);
        }
      }
    }
  });
});

describe('hops', () => {
  it('forwards at each hop what came at the hop before', () => {
    for (const worldSize of worlds) {
      for (let rank = 0; rank < worldSize; rank += 1) {
        expect(predecessorOf(successorOf(rank, worldSize), worldSize)).toBe(rank);
        for (let hop = 1; hop < hopCount(worldSize); hop += 1) {
          expect(sentSegment(rank, worldSize, hop)).toBe(receivedSegment(rank, worldSize, hop - 1));
        }
      }
    }
  });

  it('adds every rank to every segment once and finishes every segment on every rank once', () => {
    for (const worldSize of worlds) {
      const holders = Array.from({ length: worldSize }, (_, segment) => new Set([segment]));
      const finished = new Map<string, number>();
      for (let hop = 0; hop < hopCount(worldSize); hop += 1) {
        for (let rank = 0; rank < worldSize; rank += 1) {
          const segment = receivedSegment(rank, worldSize, hop);
          if (addsAt(hop, worldSize)) {
            expect(holders[segment].has(rank)).toBe(false);
            holders[segment].add(rank);
          }
          if (finishesAt(hop, worldSize)) {
            expect(holders[segment].size).toBe(worldSize);
            finished.set(`${rank}:${segment}`, (finished.get(`${rank}:${segment}`) ?? 0) + 1);
          }
        }
      }
      expect(finished.size).toBe(worldSize * worldSize);
      expect(new Set(finished.values())).toEqual(new Set([1]));
    }
  });
});
