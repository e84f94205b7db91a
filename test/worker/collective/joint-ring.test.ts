import { describe, expect, it } from 'vitest';
import { RondoError } from '../../../runtime/errors.js';
import { createRing } from '../../../worker/collective/all-reduce.js';
import { chunkBytes } from '../../../worker/collective/geometry.js';
import { joinLanes } from '../../../worker/collective/open-ring.js';
import type { Ring } from '../../../worker/collective/rounds.js';
import { createMemoryRing, type MemoryLink } from '../../support/memory-link.js';
import { rankVector, sameBits, toShared } from '../../support/vectors.js';

const signal = new AbortController().signal;
const generation = 1n;

/** Every rank's joint ring, and the links of each lane. */
function joinRings(worldSize: number, laneCount: number, wire: 'float32' | 'bfloat16') {
  const links = Array.from({ length: laneCount }, () => createMemoryRing(worldSize));
  const rings = Array.from({ length: worldSize }, (_, rank) => {
    const lanes = links.map((ofLane, index) =>
      createRing({
        ...{ rank, worldSize, generation, wire, link: ofLane[rank] },
        lane: { index, count: laneCount },
      }),
    );
    return joinLanes(lanes[0], lanes.slice(1), worldSize);
  });
  return { rings, links };
}

async function sum(rings: readonly Ring[], length: number): Promise<Float32Array[]> {
  const vectors = rings.map((_, rank) => toShared(rankVector(rank, length)));
  await Promise.all(rings.map((ring, rank) => ring.allReduce(vectors[rank], { signal })));
  return vectors;
}

describe('lanes', () => {
  for (const wire of ['float32', 'bfloat16'] as const) {
    it.each([1, 2, 3])(
      `sum to the same bits whatever their number (%i ranks, ${wire})`,
      async (worldSize) => {
        const block = (worldSize * chunkBytes) / 4;
        const joint = [1, 2, 3, 4].map((laneCount) => joinRings(worldSize, laneCount, wire).rings);
        for (const length of [0, 1, worldSize, 1001, block + 1, 3 * block + 5, 10]) {
          const [one, ...more] = await Promise.all(joint.map((rings) => sum(rings, length)));
          for (const vectors of more) {
            for (const vector of vectors) expect(sameBits(vector, one[0])).toBe(true);
          }
        }
      },
    );
  }

  it('all stop when one fails, and say why', async () => {
    const { rings, links } = joinRings(2, 3, 'float32');
    const length = (12 * chunkBytes) / 4;
    const sums = rings.map((ring, rank) => ring.allReduce(toShared(rankVector(rank, length)), { signal }));
    fail(links[1], new RondoError('unavailable', 'lane 1 broke'));
    for (const outcome of await Promise.allSettled(sums)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { message: 'lane 1 broke' } });
    }
    const again = rings[0].allReduce(toShared(rankVector(0, length)), { signal });
    await expect(again).rejects.toThrow('lane 1 broke');
  });

  it('all stop when the signal aborts', async () => {
    const { rings } = joinRings(2, 2, 'float32');
    const controller = new AbortController();
    const length = (8 * chunkBytes) / 4;
    const waiting = rings[0].allReduce(toShared(rankVector(0, length)), {
      signal: controller.signal,
    });
    controller.abort(new RondoError('aborted', 'generation 1 is over'));
    await expect(waiting).rejects.toThrow('generation 1 is over');
  });

  it('that have no blocks rest', async () => {
    const calls: number[] = [];
    const lanes = [0, 1, 2].map(
      (index): Ring => ({
        allReduce: async () => void calls.push(index),
        allGather: async (bytes) => [bytes, Uint8Array.of(index)],
      }),
    );
    const ring = joinLanes(lanes[0], lanes.slice(1), 2);
    const block = (2 * chunkBytes) / 4;
    await ring.allReduce(new Float32Array(block), { signal });
    expect(calls).toEqual([0]);
    await ring.allReduce(new Float32Array(block + 1), { signal });
    expect(calls).toEqual([0, 0, 1]);
    expect(await ring.allGather(Uint8Array.of(9), { signal })).toEqual([Uint8Array.of(9), Uint8Array.of(0)]);
  });
});

function fail(links: readonly MemoryLink[], error: RondoError): void {
  for (const link of links) link.fail(error);
}
