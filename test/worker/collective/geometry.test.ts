import { describe, expect, it } from 'vitest';
import {
  chunkBytes,
  cutBlocks,
  elementBytes,
  hopCount,
  payloadAt,
  predecessorOf,
  receivedSegment,
  roleAt,
  segmentOf,
  sentSegment,
  successorOf,
} from '../../../worker/collective/geometry.js';

const worlds = [2, 3, 4, 5, 8];

describe('cutBlocks', () => {
  it('covers every element once, in chunks that are not too long', () => {
    for (const worldSize of worlds) {
      for (const length of [0, 1, 7, 131_072, 5_000_003]) {
        let next = 0;
        for (const block of cutBlocks(length, worldSize)) {
          expect(block.offset).toBe(next);
          expect(block.count).toBeGreaterThan(0);
          next = block.offset + block.count;
          for (let index = 0; index < worldSize; index += 1) {
            const { count } = segmentOf(block, worldSize, index);
            expect(count * elementBytes.int32).toBeLessThanOrEqual(chunkBytes);
          }
        }
        expect(next).toBe(length);
      }
    }
  });
});

describe('segmentOf', () => {
  it('divides a block among the ranks, down to blocks smaller than the world', () => {
    for (const worldSize of worlds) {
      for (const count of [1, worldSize - 1, worldSize, 100]) {
        const block = { offset: 50, count };
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
          const role = roleAt(hop, worldSize);
          expect(payloadAt(hop, worldSize, 'bfloat16')).toBe(role === 'spread' ? 'bfloat16' : 'int32');
          if (role === 'add' || role === 'finish') {
            expect(holders[segment].has(rank)).toBe(false);
            holders[segment].add(rank);
          }
          if (role === 'finish' || role === 'spread') {
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
