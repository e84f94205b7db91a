import { describe, expect, it } from 'vitest';
import { RondoError } from '../../../runtime/errors.js';
import { createRing } from '../../../worker/collective/all-reduce.js';
import { chunkBytes } from '../../../worker/collective/geometry.js';
import type { Ring } from '../../../worker/collective/rounds.js';
import { createSharedSum } from '../../../worker/collective/shared-sum.js';
import { createMemoryRing, type Fault, type MemoryLink } from '../../support/memory-link.js';
import { intsOf, rankVector, sameBits, sumOf, toShared } from '../../support/vectors.js';

type Wire = 'float32' | 'bfloat16';
const { signal } = new AbortController();
const generation = 3n;

interface World {
  readonly vectors: readonly Float32Array[];
  readonly rings: readonly Ring[];
  /** All links that a rank holds. */
  readonly links: readonly (readonly MemoryLink[])[];
}

interface Weather {
  readonly delayMs?: () => number;
  /** By rank, on its way to the next of its host, and between hosts. */
  readonly within?: ReadonlyMap<number, Fault>;
  readonly between?: ReadonlyMap<number, Fault>;
}

/** Hosts of so many ranks each, in memory, whose vectors have `length` elements. */
function createWorld(sizes: readonly number[], wire: Wire, length: number, o: Weather = {}): World {
  const worldSize = sizes.reduce((sum, size) => sum + size, 0);
  const vectors = Array.from({ length: worldSize }, (_, rank) => toShared(rankVector(rank, length)));
  const all = createMemoryRing(worldSize, o);
  const betweenLinks = createMemoryRing(sizes.length, { ...o, faults: o.between });
  let before = 0;
  const ranks = sizes.flatMap((size, host) => {
    const first = before;
    before += size;
    const faults = new Map([...(o.within ?? [])].map(([rank, fault]) => [rank - first, fault]));
    const within = createMemoryRing(size, { ...o, faults });
    return within.map((link, rank) => {
      const place = { generation, wire };
      const shared = vectors.slice(first, first + size);
      const world = { rank: first + rank, worldSize, link: all[first + rank] };
      const hosts = { rank: host, worldSize: sizes.length, link: betweenLinks[host] };
      const isBetween = rank === 0 && sizes.length > 1;
      const ring = createSharedSum({
        ...{ ...place, link, rank, worldSize: size, hostCount: sizes.length },
        vectors: {
          find: ({ buffer, byteOffset, length: count }) =>
            buffer !== shared[rank].buffer
              ? null
              : shared.map((each) => each.subarray(byteOffset / 4, byteOffset / 4 + count)),
          close() {},
        },
        ring: createRing({ ...place, ...world }),
        betweenHosts: isBetween ? createRing({ ...place, ...hosts }) : null,
      });
      const links = [link, world.link, ...(isBetween ? [hosts.link] : [])];
      return { ring, links };
    });
  });
  return { vectors, rings: ranks.map(({ ring }) => ring), links: ranks.map(({ links }) => links) };
}

function fill({ vectors }: World, round: number): void {
  for (const [rank, vector] of vectors.entries()) {
    intsOf(vector).set(intsOf(rankVector(rank + round, vector.length)));
  }
}

/** Sums the elements from `start` to `end`, and expects each rank to have the flat sum there, and its own elsewhere. */
async function expectSum(world: World, wire: Wire, start: number, end: number, round = 0): Promise<void> {
  const { vectors, rings } = world;
  fill(world, round);
  const inputs = vectors.map((vector, rank) => rankVector(rank + round, vector.length));
  await Promise.all(
    rings.map((ring, rank) => ring.allReduce(vectors[rank].subarray(start, end), { signal })),
  );
  const sum = sumOf(inputs, wire).subarray(start, end);
  for (const [rank, vector] of vectors.entries()) {
    expect(sameBits(vector.subarray(start, end), sum)).toBe(true);
    expect(sameBits(vector.subarray(0, start), inputs[rank].subarray(0, start))).toBe(true);
    expect(sameBits(vector.subarray(end), inputs[rank].subarray(end))).toBe(true);
  }
}

describe('createSharedSum', () => {
  const grid = [[2], [4], [1, 1], [2, 2], [1, 3], [3, 1, 2], [1, 2, 1, 2], [4, 4]];
  for (const wire of ['float32', 'bfloat16'] as const) {
    it.each(grid.map((sizes) => ({ sizes })))(
      `has the bits of the flat sum: $sizes ranks on each host, ${wire}`,
      async ({ sizes }) => {
        const worldSize = sizes.reduce((sum, size) => sum + size, 0);
        for (const length of [0, 1, worldSize - 1, 1001]) {
          await expectSum(createWorld(sizes, wire, length), wire, 0, length);
        }
        // In some worlds more blocks than are under way at once, between hosts and on one.
        const isLong = wire === 'float32' && (worldSize === 2 || sizes.join() === '2,2');
        const large = isLong ? 3 * 2 * (chunkBytes / 4) + 5 : 150_007;
        const world = createWorld(sizes, wire, large);
        await expectSum(world, wire, 0, large);
        await expectSum(world, wire, 70_001, 140_001, 1);
      },
    );
  }

  it('sums over many rounds with links that dawdle, between what ranks tell each other', async () => {
    let seed = 1;
    const delayMs = () => {
      seed = (seed * 48_271) % 0x7fffffff;
      return seed % 3;
    };
    const world = createWorld([2, 3], 'float32', 777, { delayMs });
    for (let round = 0; round < 5; round += 1) {
      await expectSum(world, 'float32', 10 * round, 700, round);
      const told = await Promise.all(
        world.rings.map((ring, rank) => ring.allGather(Uint8Array.of(rank), { signal })),
      );
      for (const each of told) expect(each.map(([byte]) => byte)).toEqual([0, 1, 2, 3, 4]);
    }
  });

  it('sums around all ranks what is not shared', async () => {
    const { rings } = createWorld([2, 2], 'bfloat16', 10);
    const others = rings.map((_, rank) => rankVector(rank, 50));
    const inputs = rings.map((_, rank) => rankVector(rank, 50));
    await Promise.all(rings.map((ring, rank) => ring.allReduce(others[rank], { signal })));
    for (const sum of others) expect(sameBits(sum, sumOf(inputs, 'bfloat16'))).toBe(true);
  });

  const broken: Fault = (chunk) => ({ ...chunk, round: 99n });
  /** On a host of three ranks, a rank sends two messages in each of four barriers; of two, one. */
  const at =
    (which: number): Fault =>
    (chunk, sent) =>
      sent === which ? broken(chunk, sent) : chunk;
  const faults: [string, Weather][] = [
    ['before the sums of a host', { within: new Map([[1, at(0)]]) }],
    ['after them', { within: new Map([[2, at(2)]]) }],
    ['among the first chunks between hosts', { between: new Map([[0, at(0)]]) }],
    ['among the last', { between: new Map([[1, at(1)]]) }],
    ['when the sum of all is there', { within: new Map([[0, at(4)]]) }],
    ['when it is taken', { within: new Map([[4, at(3)]]) }],
  ];
  it.each(faults)('ends on all ranks after a fault %s', async (_, weather) => {
    const world = createWorld([3, 2], 'float32', 1001, weather);
    const sums = world.rings.map(async (ring, rank) => {
      try {
        await ring.allReduce(world.vectors[rank], { signal });
        // The last to go on may have what it needs; what ranks say next fails.
        await ring.allGather(new Uint8Array(0), { signal });
      } catch (error) {
        // So does a generation that fails.
        for (const link of world.links[rank]) link.close();
        throw error;
      }
    });
    const outcomes = await Promise.allSettled(sums);
    expect(outcomes.map(({ status }) => status)).toEqual(Array(5).fill('rejected'));
    const reasons = outcomes.map((outcome) => (outcome as PromiseRejectedResult).reason as RondoError);
    expect(reasons.some(({ code }) => code === 'data-loss')).toBe(true);
    for (const [rank, ring] of world.rings.entries()) {
      await expect(ring.allReduce(world.vectors[rank], { signal })).rejects.toBeInstanceOf(RondoError);
    }
  });

  it('ends at once with the signal’s reason wherever a rank is', async () => {
    const controller = new AbortController();
    const { rings, vectors } = createWorld([2, 2], 'float32', chunkBytes);
    // One rank never comes: its host waits for it, the other host's first rank for that host.
    const waiting = [0, 2, 3].map((rank) => rings[rank].allReduce(vectors[rank], controller));
    const outcomes = Promise.allSettled(waiting);
    setTimeout(() => controller.abort(new RondoError('aborted', 'generation 3 is over')), 20);
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { message: 'generation 3 is over' } });
    }
  });
});
