import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { workerName } from '../../../runtime/member-name.js';
import { chunkBytes } from '../../../worker/collective/geometry.js';
import type { OpenRing } from '../../../worker/collective/open-ring.js';
import { closeCertifiedRuns, openCertifiedRun } from '../../support/certified-run.js';
import type { Peer } from '../../support/grpc-peers.js';
import { countDescriptors } from '../../support/open-files.js';
import type { Relay } from '../../support/relay.js';
import {
  allocateAll,
  type Hosts,
  openRings,
  openSharedFolders,
  startHosts,
  sumParts,
} from '../../support/rings.js';
import { rankVector, sameBits, sumOf } from '../../support/vectors.js';

const never = new AbortController().signal;
const shared = openSharedFolders();
const { mappings } = shared;

afterEach(closeCertifiedRuns);

describe('ranks on several hosts', () => {
  const relays: Relay[] = [];

  afterEach(() => {
    for (const relay of relays.splice(0)) relay.destroy();
  });

  async function start(sizes: readonly number[]): Promise<Hosts> {
    const hosts = await startHosts(shared.path, sizes);
    relays.push(...hosts.relays);
    return hosts;
  }

  function expectNothingLeft() {
    for (const host of readdirSync(shared.path)) expect(readdirSync(join(shared.path, host))).toEqual([]);
  }

  for (const sizes of [
    [2, 2],
    [1, 2],
    [3, 1, 2],
    [1, 1, 4],
  ]) {
    for (const wire of ['float32', 'bfloat16'] as const) {
      it(`sum on each host, and once between hosts: ${sizes.join(' + ')} ranks, ${wire}`, async () => {
        const { peers, addressesOf } = await start(sizes);
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

  it.each(['float32', 'bfloat16'] as const)(
    'have the same bits with certificates: 2 + 1 + 2 ranks, %s',
    async (wire) => {
      const run = await openCertifiedRun();
      const ids = [0, 1, 2, 3, 4].map((rank) => `worker-${rank}`);
      const hosts = await startHosts(shared.path, [2, 1, 2], await Promise.all(ids.map(run.credentialsOf)));
      const { peers, addressesOf } = hosts;
      relays.push(...hosts.relays);
      const vectors = allocateAll(5, [300_007]);
      const rings = await openRings(peers, vectors, { wire, addressesOf, names: ids.map(workerName) });
      const inputs = peers.map((_, rank) => rankVector(rank, 300_007));
      const sums = await sumParts(
        rings,
        vectors.map(([vector]) => vector),
      );
      for (const sum of sums) expect(sameBits(sum, sumOf(inputs, wire))).toBe(true);
      expect(mappings()).toBe(4 * (2 + 1));
    },
  );

  it('tell each other what they like, sum what is not shared, and leave nothing, over generations', async () => {
    const { peers, addressesOf } = await start([2, 1, 2]);
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
    expect(countDescriptors(shared.path)).toBe(0);
    expectNothingLeft();
  });

  it.each([
    ['the first rank of a host leaves', (rings: readonly OpenRing[]) => rings[2].close(), [2]],
    ['another rank of a host leaves', (rings: readonly OpenRing[]) => rings[3].close(), [3]],
    ['a rank alone on its host leaves', (rings: readonly OpenRing[]) => rings[4].close(), [4]],
    ['the way between two hosts is cut', () => relays[0].destroy(), []],
  ])('break from rank to rank when %s amid a sum', async (_, fault, gone) => {
    const { peers, addressesOf } = await start([2, 2, 1]);
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
    expect(countDescriptors(shared.path)).toBe(0);
    expectNothingLeft();
  });

  it('are not in a ring when one of them cannot open it, and say so in time', async () => {
    const { peers, addressesOf } = await start([2, 1]);
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
    expect(countDescriptors(shared.path)).toBe(0);
    expectNothingLeft();
  });
});
