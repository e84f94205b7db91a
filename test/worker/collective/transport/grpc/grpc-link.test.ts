import { afterEach, describe, expect, it } from 'vitest';
import { ringTransports } from '../../../../../plan/run-config.js';
import { createRing } from '../../../../../worker/collective/all-reduce.js';
import { allocateChunk, wireTypes } from '../../../../../worker/collective/codec/wire-format.js';
import { createExchange } from '../../../../../worker/collective/transport/grpc/grpc-link.js';
import { testCredentials } from '../../../../support/credentials.js';
import {
  openLink as openAnyLink,
  openLinks as openAnyLinks,
  type Peer,
  startPeers as startAnyPeers,
  stopPeers,
} from '../../../../support/grpc-peers.js';
import { rankVector, sameBits, sumOf, toShared } from '../../../../support/vectors.js';

const { signal } = new AbortController();

function chunkOf(generation: bigint, round: number) {
  const header = {
    generation,
    round: BigInt(round),
    hop: 0,
    offset: 0,
    count: 1,
    wireType: wireTypes.float32,
  };
  return allocateChunk(header, 4);
}

afterEach(stopPeers);

describe.each(ringTransports)('over %s:', (transport) => {
  const startPeers = (count: number, options = {}) =>
    startAnyPeers(count, { sharedMemory: null, ...options });
  const openLinks = (ring: readonly Peer[], generation: bigint, abort = signal) =>
    openAnyLinks(ring, generation, abort, transport);
  const openLink = (ring: readonly Peer[], rank: number, generation: bigint, abort = signal) =>
    openAnyLink(ring, rank, generation, abort, transport);

  describe('a ring', () => {
    it.each([2, 3, 4])(
      'sums alike on all of %i ranks, over generations and both wires',
      async (worldSize) => {
        const ring = await startPeers(worldSize);
        for (const [generation, wire] of [
          [1n, 'float32'],
          [2n, 'bfloat16'],
          [7n, 'float32'],
        ] as const) {
          const links = await openLinks(ring, generation);
          const rings = links.map((link, rank) => createRing({ rank, worldSize, generation, link, wire }));
          for (const length of [1, 1003, 1_500_001]) {
            const inputs = links.map((_, rank) => rankVector(rank, length));
            const vectors = inputs.map(toShared);
            await Promise.all(rings.map((each, rank) => each.allReduce(vectors[rank], { signal })));
            const expected = sumOf(inputs, wire);
            for (const vector of vectors) expect(sameBits(vector, expected)).toBe(true);
          }
          for (const link of links) link.close();
        }
      },
    );

    it('waits, in bounded measure, for a process that opens the generation later', async () => {
      const ring = await startPeers(2);
      const first = openLink(ring, 0, 1n);
      await new Promise((resolve) => setTimeout(resolve, 100));
      const links = await Promise.all([first, openLink(ring, 1, 1n)]);
      await links[0].send(chunkOf(1n, 5));
      expect((await links[1].receive()).round).toBe(5n);
    });

    it('delivers what was sent before the sender closed, then says that it ended', async () => {
      const ring = await startPeers(2);
      const links = await openLinks(ring, 1n);
      const sends = Array.from({ length: 50 }, (_, round) => links[0].send(chunkOf(1n, round)));
      const settled = Promise.allSettled(sends);
      links[0].close();
      links[0].close();
      await settled;
      for (let round = 0; round < 50; round += 1)
        expect((await links[1].receive()).round).toBe(BigInt(round));
      await expect(links[1].receive()).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining(`rank 0 at ${ring[0].address}`),
      });
      await expect(links[0].receive()).rejects.toMatchObject({ code: 'aborted' });
    });

    it('slows the sender of a receiver that does not receive', async () => {
      const ring = await startPeers(2);
      const links = await openLinks(ring, 1n);
      const header = { generation: 1n, hop: 0, offset: 0, count: 131_072, wireType: wireTypes.float32 };
      const count = 200;
      let accepted = 0;
      for (let round = 0; round < count; round += 1) {
        const chunk = allocateChunk({ ...header, round: BigInt(round) }, 524_288);
        void links[0].send(chunk).then(() => {
          accepted += 1;
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(accepted).toBeLessThan(count);
      for (let round = 0; round < count; round += 1)
        expect((await links[1].receive()).round).toBe(BigInt(round));
      await expect.poll(() => accepted).toBe(count);
    });
  });

  describe('an exchange refuses', () => {
    it('a pull of a generation that is over', async () => {
      const ring = await startPeers(2);
      await openLinks(ring, 5n);
      const late = createExchange(testCredentials, { waitMs: () => 5000, sharedMemory: null });
      const pull = late.openLink({
        generation: 4n,
        rank: 1,
        worldSize: 2,
        names: [],
        transport,
        predecessorAddress: ring[0].address,
        signal,
      });
      await expect(pull).rejects.toMatchObject({
        code: 'aborted',
        message: expect.stringMatching(
          /rank 0 at 127.0.0.1:\d+ refused .* generation 4: generation 4 is over.* generation 5/,
        ),
      });
      await expect(openLink(ring, 0, 5n)).rejects.toMatchObject({ code: 'aborted' });
    });

    it('a pull of a rank that is not the successor, and a second one of the successor', async () => {
      const ring = await startPeers(3);
      await openLinks(ring, 1n);
      const otherExchange = createExchange(testCredentials, { waitMs: () => 5000, sharedMemory: null });
      const address = ring[0].address;
      const wrong = otherExchange.openLink({
        generation: 1n,
        rank: 1,
        worldSize: 2,
        names: [],
        transport,
        predecessorAddress: address,
        signal,
      });
      await expect(wrong).rejects.toThrow(/rank 1 of generation 1 pulls already/);
      const other = otherExchange.openLink({
        generation: 2n,
        rank: 2,
        worldSize: 3,
        names: [],
        transport,
        predecessorAddress: address,
        signal,
      });
      await expect(Promise.race([other, openLink(ring, 0, 2n)])).rejects.toThrow(
        /rank 2 .* is not its successor, rank 1/,
      );
    });

    it('a pull that nobody opens in time', async () => {
      const [peer] = await startPeers(1, { waitMs: () => 200 });
      const alone = createExchange(testCredentials, { waitMs: () => 5000, sharedMemory: null });
      const pull = alone.openLink({
        generation: 9n,
        rank: 1,
        worldSize: 2,
        names: [],
        transport,
        predecessorAddress: peer.address,
        signal,
      });
      await expect(pull).rejects.toMatchObject({
        code: 'deadline-exceeded',
        message: expect.stringContaining('did not open generation 9 within 0.2 s'),
      });
    });
  });

  describe('a link that breaks', () => {
    it('names the predecessor whose server is gone', async () => {
      const ring = await startPeers(3);
      const links = await openLinks(ring, 1n);
      const waiting = expect(links[1].receive()).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining(`rank 0 at ${ring[0].address}`),
      });
      ring[0].server.destroy();
      await waiting;
    });

    it('rejects sends when the successor is gone, those that wait included', async () => {
      const ring = await startPeers(2);
      const links = await openLinks(ring, 1n);
      const header = { generation: 1n, round: 0n, hop: 0, offset: 0, count: 0, wireType: wireTypes.float32 };
      const sends = Array.from({ length: 200 }, () => links[0].send(allocateChunk(header, 524_288)));
      const outcomes = Promise.allSettled(sends);
      links[1].close();
      const rejected = (await outcomes).find(({ status }) => status === 'rejected');
      expect(rejected).toMatchObject({
        reason: { code: 'unavailable', message: expect.stringContaining('rank 1') },
      });
      await expect(links[0].send(allocateChunk(header, 4))).rejects.toMatchObject({ code: 'unavailable' });
    });

    it('refuses an address where nobody listens, and a signal that aborts while it opens or after', async () => {
      const ring = await startPeers(2);
      const nobody = {
        generation: 1n,
        rank: 0,
        worldSize: 2,
        names: [],
        predecessorAddress: '127.0.0.1:9',
        transport,
      };
      await expect(ring[0].exchange.openLink({ ...nobody, signal })).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('rank 1 at 127.0.0.1:9'),
      });
      const opening = new AbortController();
      const link = openLink(ring, 0, 2n, opening.signal);
      opening.abort();
      await expect(link).rejects.toMatchObject({ code: 'aborted' });

      const open = new AbortController();
      const links = await openLinks(ring, 3n, open.signal);
      const receiving = links.map((each) =>
        expect(each.receive()).rejects.toMatchObject({ code: 'aborted' }),
      );
      open.abort();
      await Promise.all(receiving);
      await expect(links[0].send(chunkOf(3n, 0))).rejects.toMatchObject({ code: 'aborted' });
    });

    it('ends when a newer generation opens', async () => {
      const ring = await startPeers(2);
      const before = await openLinks(ring, 1n);
      const waiting = expect(before[0].receive()).rejects.toMatchObject({ code: 'aborted' });
      const links = await openLinks(ring, 2n);
      await waiting;
      await links[0].send(chunkOf(2n, 1));
      expect((await links[1].receive()).generation).toBe(2n);
    });
  });
});
