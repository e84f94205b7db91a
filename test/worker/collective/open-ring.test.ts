import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { allocateReductionVector } from '../../../worker/arithmetic/reduction-vector.js';
import { chunkBytes } from '../../../worker/collective/geometry.js';
import { type Peer, startPeers } from '../../support/grpc-peers.js';
import { countDescriptors } from '../../support/open-files.js';
import { allocateAll, openRings, openSharedFolders, sumParts } from '../../support/rings.js';
import { rankVector, sameBits, sumOf } from '../../support/vectors.js';

const never = new AbortController().signal;
const shared = openSharedFolders();
const { mappings } = shared;

describe('a ring of ranks on one machine', () => {
  for (const worldSize of [2, 3, 4, 5]) {
    for (const wire of ['float32', 'bfloat16'] as const) {
      it(`sums shared vectors to the bits of a ring over gRPC (${worldSize} ranks, ${wire})`, async () => {
        const [here, apart] = [
          await startPeers(worldSize, { sharedMemory: shared.path }),
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
    const rings = await openRings(await startPeers(3, { sharedMemory: shared.path }), vectors);
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
    const rings = await openRings(await startPeers(3, { sharedMemory: shared.path }), vectors);
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
    const peers = await startPeers(3, { sharedMemory: shared.path });
    const vectors = allocateAll(3, [50_000]);
    for (const generation of [1n, 2n, 3n]) {
      const rings = await openRings(peers, vectors, { generation });
      expect(readdirSync(shared.path)).toEqual([]);
      // The links' slots, at both ends.
      expect(countDescriptors(shared.path)).toBe(6);
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
    expect(countDescriptors(shared.path)).toBe(0);
  });

  it('ends at once when it is aborted amid a sum', async () => {
    const aborting = new AbortController();
    const vectors = allocateAll(2, [8 * chunkBytes]);
    const peers = await startPeers(2, { sharedMemory: shared.path });
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
    const peers = await startPeers(3, { sharedMemory: shared.path });
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

describe('a ring of which not all can share', () => {
  /** The given vectors are not mapped, and the ring sums others. */
  async function expectPlainRing(peers: readonly Peer[], vectors: Float32Array[][]) {
    const rings = await openRings(peers, vectors);
    expect([mappings(), readdirSync(shared.path).length]).toEqual([0, 0]);
    const sums = await sumParts(
      rings,
      rings.map(() => allocateReductionVector(777)),
    );
    for (const sum of sums) expect(sameBits(sum, sums[0])).toBe(true);
  }

  it('goes over links when a rank has vectors of another size', async () => {
    const peers = await startPeers(2, { sharedMemory: shared.path });
    await expectPlainRing(peers, [[allocateReductionVector(1000)], [allocateReductionVector(100_000)]]);
  });

  it('goes over links when a rank has none to share', async () => {
    const peers = await startPeers(2, { sharedMemory: shared.path });
    await expectPlainRing(peers, [[], [allocateReductionVector(1000)]]);
  });
});
