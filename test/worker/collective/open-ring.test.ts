import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { allocateReductionVector } from '../../../worker/arithmetic/reduction-vector.js';
import { chunkBytes } from '../../../worker/collective/geometry.js';
import { type OpenRing, openRing } from '../../../worker/collective/open-ring.js';
import { type Peer, startPeers, stopPeers } from '../../support/grpc-peers.js';
import { countDescriptors } from '../../support/open-files.js';
import { openRelay, type Relay } from '../../support/relay.js';
import { intsOf, rankVector, sameBits, sumOf } from '../../support/vectors.js';

type Wire = 'float32' | 'bfloat16';
const never = new AbortController().signal;
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rondo-shared-'));
});

afterEach(() => {
  stopPeers();
  rmSync(directory, { recursive: true });
});

/** Each rank with vectors of all `lengths`. */
function allocateAll(worldSize: number, lengths: readonly number[]): Float32Array[][] {
  return Array.from({ length: worldSize }, () => lengths.map(allocateReductionVector));
}

function openRings(
  peers: readonly Peer[],
  vectors: readonly (readonly Float32Array[])[],
  o: {
    generation?: bigint;
    wire?: Wire;
    signal?: AbortSignal;
    /** What a rank is told of where the others are. */
    addressesOf?: (rank: number) => string[];
  } = {},
): Promise<OpenRing[]> {
  const { generation = 1n, wire = 'float32', signal = never } = o;
  const addressesOf = o.addressesOf ?? (() => peers.map(({ address }) => address));
  const worldSize = peers.length;
  return Promise.all(
    peers.map(({ exchange }, rank) =>
      openRing({
        ...{ exchange, lanes: [], generation, rank, worldSize, wire, signal, vectors: vectors[rank] },
        names: [],
        transport: 'sockets',
        addresses: addressesOf(rank),
      }),
    ),
  );
}

/**
 * Fills each rank's vector, sums the elements from `start` to `end`, and resolves to what each then has
 * there.
 */
async function sumParts(
  rings: readonly OpenRing[],
  vectors: readonly Float32Array[],
  [start, end] = [0, vectors[0].length],
): Promise<Float32Array[]> {
  for (const [rank, vector] of vectors.entries()) intsOf(vector).set(intsOf(rankVector(rank, vector.length)));
  const parts = vectors.map((vector) => vector.subarray(start, end));
  await Promise.all(rings.map((ring, rank) => ring.allReduce(parts[rank], { signal: never })));
  return parts;
}

/** Mappings of files in the directory, unlinked ones included. */
function mappings(): number {
  return readFileSync('/proc/self/maps', 'utf8').split(`${directory}/`).length - 1;
}

describe('a ring of ranks on one machine', () => {
  for (const worldSize of [2, 3, 4, 5]) {
    for (const wire of ['float32', 'bfloat16'] as const) {
      it(`sums shared vectors to the bits of a ring over gRPC (${worldSize} ranks, ${wire})`, async () => {
        const [here, apart] = [
          await startPeers(worldSize, { sharedMemory: directory }),
          await startPeers(worldSize, { sharedMemory: null }),
        ];
        const large = worldSize * (chunkBytes / 4) + 3;
        const lengths = [1, worldSize + 1, 20_011, large];
        const [vectors, plain] = [allocateAll(worldSize, lengths), allocateAll(worldSize, lengths)];
        const rings = await openRings(here, vectors, { wire });
        const overGrpc = await openRings(apart, plain, { wire });
        expect(mappings()).toBeGreaterThan(0);
        for (const [index, length] of lengths.entries()) {
          const [own, others] = [vectors, plain].map((ranks) => ranks.map((each) => each[index]));
          const parts: [start: number, end: number][] = [
            [0, length],
            [Math.floor(length / 3), length - 1],
          ];
          for (const part of parts) {
            const [expected] = await sumParts(overGrpc, others, part);
            for (const sum of await sumParts(rings, own, part)) expect(sameBits(sum, expected)).toBe(true);
          }
        }
      });
    }
  }

  it('leaves the elements around a part alone, and sums what is not shared too', async () => {
    const vectors = allocateAll(3, [1000]);
    const rings = await openRings(await startPeers(3, { sharedMemory: directory }), vectors);
    const whole = vectors.map(([vector]) => vector);
    await sumParts(rings, whole, [400, 600]);
    for (const [rank, vector] of whole.entries()) {
      const before = rankVector(rank, 1000);
      expect(sameBits(vector.subarray(0, 400), before.subarray(0, 400))).toBe(true);
      expect(sameBits(vector.subarray(600), before.subarray(600))).toBe(true);
    }
    const others = rings.map(() => new Float32Array(50));
    const sums = await sumParts(rings, others);
    expect(sameBits(sums[0], sums[2])).toBe(true);
    expect((await sumParts(rings, whole, [400, 600]))[1].length).toBe(200);
  });

  it('sums between what ranks tell each other', async () => {
    const vectors = allocateAll(3, [100]);
    const rings = await openRings(await startPeers(3, { sharedMemory: directory }), vectors);
    const tell = () =>
      Promise.all(rings.map((ring, rank) => ring.allGather(Uint8Array.of(rank), { signal: never })));
    const everyone = Array(3).fill([0, 1, 2].map((rank) => Uint8Array.of(rank)));
    expect(await tell()).toEqual(everyone);
    const sums = await sumParts(
      rings,
      vectors.map(([vector]) => vector),
    );
    expect(await tell()).toEqual(everyone);
    const inputs = [0, 1, 2].map((rank) => rankVector(rank, 100));
    for (const sum of sums) expect(sameBits(sum, sumOf(inputs, 'float32'))).toBe(true);
  });

  it('leaves no names, descriptors or other processes’ memory behind, over generations', async () => {
    const peers = await startPeers(3, { sharedMemory: directory });
    const vectors = allocateAll(3, [50_000]);
    for (const generation of [1n, 2n, 3n]) {
      const rings = await openRings(peers, vectors, { generation });
      expect(readdirSync(directory)).toEqual([]);
      // The links' slots, at both ends.
      expect(countDescriptors(directory)).toBe(6);
      // Each rank has all three files side by side, and its own in the place of its vector.
      expect(mappings()).toBe(3 * (3 + 1));
      const sums = await sumParts(
        rings,
        vectors.map(([vector]) => vector),
      );
      expect(sameBits(sums[0], sums[1])).toBe(true);
      for (const ring of rings) ring.close();
      expect(mappings()).toBe(3);
    }
    expect(countDescriptors(directory)).toBe(0);
  });

  it('ends at once when it is aborted amid a sum', async () => {
    const aborting = new AbortController();
    const vectors = allocateAll(2, [8 * chunkBytes]);
    const peers = await startPeers(2, { sharedMemory: directory });
    const rings = await openRings(peers, vectors, { signal: aborting.signal });
    const sums = rings.map((ring, rank) => ring.allReduce(vectors[rank][0], { signal: aborting.signal }));
    setImmediate(() => aborting.abort());
    for (const outcome of await Promise.allSettled(sums)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'aborted' } });
    }
    await expect(rings[0].allReduce(vectors[0][0], { signal: never })).rejects.toMatchObject({
      code: 'aborted',
    });
  });

  it('breaks from rank to rank when one leaves amid a sum', async () => {
    const peers = await startPeers(3, { sharedMemory: directory });
    const vectors = allocateAll(3, [1000]);
    const rings = await openRings(peers, vectors);
    const sums = [0, 1].map((rank) => rings[rank].allReduce(vectors[rank][0], { signal: never }));
    const outcomes = Promise.allSettled(sums);
    rings[2].close();
    await expect(sums[0]).rejects.toMatchObject({ code: 'unavailable' });
    rings[0].close();
    await expect(sums[1]).rejects.toMatchObject({ code: 'unavailable' });
    await outcomes;
  });
});

describe('ranks on several hosts', () => {
  const relays: Relay[] = [];

  afterEach(() => {
    for (const relay of relays.splice(0)) relay.destroy();
  });

  /** The ranks of each host share memory, and reach others through a relay before each. */
  async function startHosts(sizes: readonly number[]) {
    const hosts = sizes.map((size, host) => {
      const sharedMemory = join(directory, `host-${host}`);
      mkdirSync(sharedMemory);
      return startPeers(size, { sharedMemory });
    });
    const peers = (await Promise.all(hosts)).flat();
    relays.push(...(await Promise.all(peers.map(({ address }) => openRelay(address)))));
    const hostOf = sizes.flatMap((size, host) => Array<number>(size).fill(host));
    const addressesOf = (rank: number) =>
      peers.map(({ address }, other) => (hostOf[other] === hostOf[rank] ? address : relays[other].address));
    return { peers, addressesOf };
  }

  function expectNothingLeft() {
    for (const host of readdirSync(directory)) expect(readdirSync(join(directory, host))).toEqual([]);
  }

  for (const sizes of [
    [2, 2],
    [1, 2],
    [3, 1, 2],
    [1, 1, 4],
  ]) {
    for (const wire of ['float32', 'bfloat16'] as const) {
      it(`sum on each host, and once between hosts: ${sizes.join(' + ')} ranks, ${wire}`, async () => {
        const { peers, addressesOf } = await startHosts(sizes);
        const worldSize = peers.length;
        // Several blocks in the smallest world, where it costs least.
        const large = worldSize === 3 ? 2 * sizes.length * (chunkBytes / 4) + 3 : 300_007;
        const lengths = [1, worldSize + 1, large];
        const vectors = allocateAll(worldSize, lengths);
        const rings = await openRings(peers, vectors, { wire, addressesOf });
        expect(mappings()).toBeGreaterThan(0);
        expectNothingLeft();
        for (const [index, length] of lengths.entries()) {
          const own = vectors.map((each) => each[index]);
          const inputs = own.map((_, rank) => rankVector(rank, length));
          const expected = sumOf(inputs, wire);
          const parts: [start: number, end: number][] = [
            [0, length],
            [Math.floor(length / 3), length - 1],
          ];
          for (const [start, end] of parts) {
            const before = relays.map((relay) => relay.sentBytes());
            const sums = await sumParts(rings, own, [start, end]);
            for (const sum of sums) expect(sameBits(sum, expected.subarray(start, end))).toBe(true);
            // Half of what travels is partial sums, the other half finished ones.
            const each =
              ((sizes.length - 1) / sizes.length) * (end - start) * (wire === 'float32' ? 4 + 4 : 4 + 2);
            let rank = 0;
            for (const size of sizes) {
              const sent = relays
                .slice(rank, rank + size)
                .map((relay, at) => relay.sentBytes() - before[rank + at]);
              // Of each host one rank sends, and what one rank has to send: with what chunks say of themselves.
              expect(sent[0]).toBeGreaterThanOrEqual(Math.floor(each) - 8 * sizes.length);
              expect(sent[0]).toBeLessThan(1.01 * each + 4096);
              // Connections of gRPC's are kept open.
              for (const others of sent.slice(1)) expect(others).toBeLessThan(4096);
              rank += size;
            }
          }
        }
      });
    }
  }

  it('tell each other what they like, sum what is not shared, and leave nothing, over generations', async () => {
    const { peers, addressesOf } = await startHosts([2, 1, 2]);
    const vectors = allocateAll(5, [50_000]);
    const whole = vectors.map(([vector]) => vector);
    for (const generation of [1n, 2n]) {
      const rings = await openRings(peers, vectors, { generation, addressesOf });
      expectNothingLeft();
      const tell = () =>
        Promise.all(rings.map((ring, rank) => ring.allGather(Uint8Array.of(rank), { signal: never })));
      const everyone = Array(5).fill([0, 1, 2, 3, 4].map((rank) => Uint8Array.of(rank)));
      expect(await tell()).toEqual(everyone);
      await sumParts(rings, whole, [400, 600]);
      for (const [rank, vector] of whole.entries()) {
        const before = rankVector(rank, 50_000);
        expect(sameBits(vector.subarray(0, 400), before.subarray(0, 400))).toBe(true);
        expect(sameBits(vector.subarray(600), before.subarray(600))).toBe(true);
      }
      const others = await sumParts(
        rings,
        rings.map(() => new Float32Array(50)),
      );
      for (const sum of others) expect(sameBits(sum, others[0])).toBe(true);
      const sums = await sumParts(rings, whole);
      for (const sum of sums) expect(sameBits(sum, sums[0])).toBe(true);
      expect(await tell()).toEqual(everyone);
      // Each rank of a host of two has both files side by side, and its own in the place of its vector.
      expect(mappings()).toBe(4 * (2 + 1));
      for (const ring of rings) ring.close();
      expect(mappings()).toBe(4);
    }
    expect(countDescriptors(directory)).toBe(0);
    expectNothingLeft();
  });

  it.each([
    ['the first rank of a host leaves', (rings: readonly OpenRing[]) => rings[2].close(), [2]],
    ['another rank of a host leaves', (rings: readonly OpenRing[]) => rings[3].close(), [3]],
    ['a rank alone on its host leaves', (rings: readonly OpenRing[]) => rings[4].close(), [4]],
    ['the way between two hosts is cut', () => relays[0].destroy(), []],
  ])('break from rank to rank when %s amid a sum', async (_, fault, gone) => {
    const { peers, addressesOf } = await startHosts([2, 2, 1]);
    const vectors = allocateAll(5, [chunkBytes]);
    const rings = await openRings(peers, vectors, { addressesOf });
    const sums = rings.map(async (ring, rank) => {
      if (gone.includes(rank)) return;
      try {
        await ring.allReduce(vectors[rank][0], { signal: never });
      } catch (error) {
        // So does a generation that fails.
        ring.close();
        throw error;
      }
    });
    const outcomes = Promise.allSettled(sums);
    fault(rings);
    for (const [rank, outcome] of (await outcomes).entries()) {
      if (gone.includes(rank)) continue;
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
    }
    expect(mappings()).toBe(4);
    expect(countDescriptors(directory)).toBe(0);
    expectNothingLeft();
  });

  it('are not in a ring when one of them cannot open it, and say so in time', async () => {
    const { peers, addressesOf } = await startHosts([2, 1]);
    const vectors = allocateAll(3, [1000]);
    const { exchange } = peers[0];
    const refusing: Peer = {
      ...peers[0],
      exchange: {
        ...exchange,
        openLink: (o) =>
          o.ring === undefined ? exchange.openLink(o) : Promise.reject(new Error('out of descriptors')),
      },
    };
    const aborting = new AbortController();
    const opening = openRings([refusing, ...peers.slice(1)], vectors, {
      addressesOf,
      signal: aborting.signal,
    });
    await expect(opening).rejects.toThrow('out of descriptors');
    // So a coordinator does, that heard of it.
    aborting.abort();
    await expect.poll(() => mappings()).toBe(2);
    expect(countDescriptors(directory)).toBe(0);
    expectNothingLeft();
  });
});

describe('a ring of which not all can share', () => {
  /** The given vectors are not mapped, and the ring sums others. */
  async function expectPlainRing(peers: readonly Peer[], vectors: Float32Array[][]) {
    const rings = await openRings(peers, vectors);
    expect([mappings(), readdirSync(directory).length]).toEqual([0, 0]);
    const sums = await sumParts(
      rings,
      rings.map(() => allocateReductionVector(777)),
    );
    for (const sum of sums) expect(sameBits(sum, sums[0])).toBe(true);
  }

  it('goes over links when a rank has vectors of another size', async () => {
    const peers = await startPeers(2, { sharedMemory: directory });
    await expectPlainRing(peers, [[allocateReductionVector(1000)], [allocateReductionVector(100_000)]]);
  });

  it('goes over links when a rank has none to share', async () => {
    const peers = await startPeers(2, { sharedMemory: directory });
    await expectPlainRing(peers, [[], [allocateReductionVector(1000)]]);
  });
});
