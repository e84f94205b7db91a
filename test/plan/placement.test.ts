import { describe, expect, it } from 'vitest';
import type { Division } from '../../plan/micro-batches.js';
import { placePartitions } from '../../plan/placement.js';
import { openStream } from '../../plan/random.js';

const range = (count: number) => Array.from({ length: count }, (_, index) => index);
const machines = (count: number, first = 0) => range(count).map((index) => `node-${first + index}`);

/** Of a run whose steps have so many micro-batches of four. */
function place(
  count: number,
  hosts: readonly string[],
  batchSize = 4 * count,
  trainCount = 12 * count,
): Division {
  const order = { kind: 'windows', version: 2, shards: 1, counts: [trainCount] } as const;
  return placePartitions({ seed: 1, trainCount, batchSize, microBatch: 4, order }, hosts)!;
}

/** By partition. */
function ownersOf(count: number, hosts: readonly string[]): string[] {
  const owners: string[] = [];
  for (const [rank, own] of place(count, hosts).entries())
    for (const each of own) owners[each] = hosts[rank]!;
  return owners;
}

/** Share of the partitions that machines must fetch anew in each world after the first, from caches of twice a part. */
function measureMoves(count: number, worlds: readonly (readonly string[])[]): number[] {
  const caches = new Map<string, number[]>();
  return worlds
    .map((hosts) => {
      let fetched = 0;
      for (const [rank, own] of place(count, hosts).entries()) {
        const cached = caches.get(hosts[rank]!) ?? [];
        fetched += own.filter((partition) => !cached.includes(partition)).length;
        const kept = [...own, ...cached.filter((partition) => !own.includes(partition))];
        caches.set(hosts[rank]!, kept.slice(0, Math.ceil((2 * count) / hosts.length)));
      }
      return fetched / count;
    })
    .slice(1);
}

describe('placePartitions', () => {
  it('gives each partition to one rank, and to all as many, give or take one', () => {
    for (const count of [1, 2, 4, 7, 16, 64]) {
      for (const world of [1, 2, 3, 4, 7, 16, 20]) {
        for (const each of [1, 2, 5]) {
          const hosts = range(world).map((rank) => `node-${Math.floor(rank / each)}`);
          const division = place(count, hosts);
          expect(division.flat().toSorted((a, b) => a - b)).toEqual(range(count));
          const sizes = division.map(({ length }) => length);
          expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
          for (const own of division) expect(own).toEqual(own.toSorted((a, b) => a - b));
        }
      }
    }
  });

  it('gives the ranks of a machine neighbours of what it has, and one machine’s all', () => {
    expect(place(5, ['a', 'a', 'a'])).toEqual([[0, 1], [2, 3], [4]]);
    const [one, two, three, four] = place(16, ['a', 'a', 'b', 'b']);
    expect([...one!, ...two!]).toEqual(
      ownersOf(16, ['a', 'b']).flatMap((host, at) => (host === 'a' ? [at] : [])),
    );
    expect(Math.max(...one!)).toBeLessThan(Math.min(...two!));
    expect(Math.max(...three!)).toBeLessThan(Math.min(...four!));
  });

  it('gives what only an epoch’s last step has to the last rank', () => {
    // Steps of [4, 5], and [4, 4, 2].
    expect(place(2, ['a', 'b', 'b'], 9, 28)[2]).toEqual([2]);
    expect(place(2, ['a', 'a'], 9, 28)).toEqual([[0], [1, 2]]);
  });

  it('goes by the names of machines, not by the order of ranks, where all have as many', () => {
    const hosts = machines(8);
    const owners = ownersOf(64, hosts);
    expect(ownersOf(64, hosts.toReversed())).toEqual(owners);
    expect(ownersOf(64, hosts)).toEqual(owners);
  });

  it('is always the same, so that caches keep what a later version asks for', () => {
    expect(place(16, machines(4)).map((own) => own.join())).toMatchInlineSnapshot(`
      [
        "2,3,7,13",
        "0,5,6,9",
        "4,12,14,15",
        "1,8,10,11",
      ]
    `);
  });

  it('has none for orders without partitions', () => {
    const cut = { seed: 1, trainCount: 64, batchSize: 16, microBatch: 4 };
    const old = { kind: 'windows', version: 1, shards: 1, counts: [64] } as const;
    for (const order of [undefined, { kind: 'full', version: 1 } as const, old]) {
      expect(placePartitions({ ...cut, order }, ['a', 'b'])).toBeNull();
    }
  });
});

// bench/LOG.md has these figures, and those of neighbouring micro-batches: 0.5, 0.47, 0.28, 0.34.
describe('what is fetched anew when the world changes', () => {
  it.each<[string, readonly (readonly string[])[], readonly number[]]>([
    ['2, 3 and 4 machines', [machines(2), machines(3), machines(4)], [0.4, 0.32]],
    ['4 and 8', [machines(4), machines(8)], [0.57]],
    ['4, 3, and 4 again', [machines(4), machines(3), machines(4)], [0.32, 0]],
    ['16 and 17', [machines(16), machines(17)], [0.13]],
    [
      '16, one of which leaves and comes back',
      [machines(16), machines(16).toSpliced(7, 1), machines(16)],
      [0.14, 0],
    ],
    ['the first of 16 replaced by one with the last name', [machines(16), machines(16, 1)], [0.2]],
  ])('is little more than the part of those that come and leave: %s', (_, worlds, most) => {
    const moves = measureMoves(256, worlds);
    expect(moves).toHaveLength(most.length);
    for (const [at, share] of moves.entries()) expect(share).toBeLessThanOrEqual(most[at]!);
  });

  it('is a ninth of the data after each of 60 changes of 4 to 12 machines, where those that come are new', () => {
    const stream = openStream(1, 'faults');
    let hosts = machines(8);
    let next = 8;
    const worlds = range(60).map(() => {
      const grows = hosts.length === 4 || (hosts.length < 12 && stream.unit() < 0.5);
      hosts = grows ? [...hosts, `node-${next++}`] : hosts.toSpliced(stream.below(hosts.length), 1);
      return hosts;
    });
    const moves = measureMoves(256, [machines(8), ...worlds]);
    const mean = moves.reduce((sum, share) => sum + share, 0) / moves.length;
    expect(mean).toBeGreaterThan(0.05);
    expect(mean).toBeLessThan(0.14);
  });
});
