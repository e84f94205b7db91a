import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createRing } from '../../../../../worker/collective/all-reduce.js';
import { allocateChunk, wireTypes } from '../../../../../worker/collective/codec/wire-format.js';
import { blocksUnderWay, chunkBytes } from '../../../../../worker/collective/geometry.js';
import type { Link } from '../../../../../worker/collective/transport/link.js';
import {
  openLink,
  openLinks,
  type Peer,
  startPeer,
  startPeers,
  stopPeers,
} from '../../../../support/grpc-peers.js';
import { countDescriptors } from '../../../../support/open-files.js';
import { openSharedFolders } from '../../../../support/rings.js';
import { rankVector, sameBits, toShared } from '../../../../support/vectors.js';

const signal = new AbortController().signal;
const folder = openSharedFolders();

/** Sums vectors of a length over all links, as often as one likes; resolves to what each rank then has. */
function openSum(links: readonly Link[], wire: 'float32' | 'bfloat16') {
  const worldSize = links.length;
  const rings = links.map((link, rank) => createRing({ rank, worldSize, generation: 1n, link, wire }));
  return async (length: number): Promise<Float32Array[]> => {
    const vectors = links.map((_, rank) => toShared(rankVector(rank, length)));
    await Promise.all(rings.map((ring, rank) => ring.allReduce(vectors[rank], { signal })));
    return vectors;
  };
}

async function sumPlainly(worldSize: number, length: number, wire: 'float32' | 'bfloat16') {
  const links = await openLinks(await startPeers(worldSize, { sharedMemory: null }), 1n);
  return (await openSum(links, wire)(length))[0];
}

function chunkOf(round: number, payloadBytes: number) {
  const header = { generation: 1n, hop: 0, offset: 0, count: payloadBytes / 4, wireType: wireTypes.float32 };
  return allocateChunk({ ...header, round: BigInt(round) }, payloadBytes);
}

describe('a ring through shared memory', () => {
  for (const worldSize of [2, 3, 4, 5]) {
    for (const wire of ['float32', 'bfloat16'] as const) {
      it(`sums to the same bits as one over gRPC alone (${worldSize} ranks, ${wire})`, async () => {
        const shared = await openLinks(await startPeers(worldSize, { sharedMemory: folder.path }), 1n);
        const plain = await openLinks(await startPeers(worldSize, { sharedMemory: null }), 1n);
        const multiBlock = 2 * worldSize * (chunkBytes / 4) + 3;
        const sum = openSum(shared, wire);
        const sumOverGrpc = openSum(plain, wire);
        for (const length of [0, 1, worldSize - 1, worldSize, 1001, multiBlock]) {
          const [vectors, [expected]] = [await sum(length), await sumOverGrpc(length)];
          for (const vector of vectors) expect(sameBits(vector, expected)).toBe(true);
        }
      });
    }
  }

  it('leaves no names behind once it is open, and no descriptors once it is closed', async () => {
    const peers = await startPeers(3, { sharedMemory: folder.path });
    for (let generation = 1n; generation < 4n; generation += 1n) {
      await openLinks(peers, generation);
      expect(readdirSync(folder.path)).toEqual([]);
      // Three files, each open at both ends; the generation before has none any more.
      expect(countDescriptors(folder.path)).toBe(6);
    }
    stopPeers();
    expect(countDescriptors(folder.path)).toBe(0);
  });

  it('leaves nothing behind when it is aborted while it opens, or amid a sum', async () => {
    const opening = new AbortController();
    const peers = await startPeers(2, { sharedMemory: folder.path });
    const lonely = openLink(peers, 0, 1n, opening.signal);
    expect(readdirSync(folder.path).length).toBe(1);
    opening.abort();
    await expect(lonely).rejects.toMatchObject({ code: 'aborted' });
    expect(readdirSync(folder.path)).toEqual([]);
    expect(countDescriptors(folder.path)).toBe(0);

    const summing = new AbortController();
    const links = await openLinks(peers, 2n, summing.signal);
    const length = 8 * chunkBytes;
    const sums = links.map((link, rank) => {
      const ring = createRing({ rank, worldSize: 2, generation: 2n, link, wire: 'float32' });
      return ring.allReduce(toShared(rankVector(rank, length)), { signal });
    });
    setTimeout(() => summing.abort(), 5);
    for (const outcome of await Promise.allSettled(sums)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'aborted' } });
    }
    expect(countDescriptors(folder.path)).toBe(0);
  });

  it('refuses a chunk that is not the one due', async () => {
    const links = await openLinks(await startPeers(2, { sharedMemory: folder.path }), 1n);
    const ring = createRing({ rank: 1, worldSize: 2, generation: 1n, link: links[1], wire: 'float32' });
    const sum = ring.allReduce(rankVector(1, 100), { signal });
    const room = links[0].takeSlot(200)!;
    const { frame: _, ...header } = chunkOf(7, 200);
    await links[0].send({ ...header, payload: new Uint8Array(0), slot: room.index, room });
    await expect(sum).rejects.toThrow(/round 7, .*due: round 0/);
  });

  it('refuses a slot that does not exist', async () => {
    const links = await openLinks(await startPeers(2, { sharedMemory: folder.path }), 1n);
    const room = links[0].takeSlot(4)!;
    const { frame: _, ...header } = chunkOf(0, 4);
    await links[0].send({ ...header, payload: new Uint8Array(0), slot: 1000, room });
    await expect(links[1].receive()).rejects.toMatchObject({ code: 'data-loss' });
  });

  it('sends chunks whole while every slot is taken', async () => {
    const links = await openLinks(await startPeers(2, { sharedMemory: folder.path }), 1n);
    const length = 4 * chunkBytes + 1;
    const halting = links.map((link) => ({ ...link, takeSlot: everyOther(link) }));
    const vectors = await openSum(halting, 'float32')(length);
    const expected = await sumPlainly(2, length, 'float32');
    for (const vector of vectors) expect(sameBits(vector, expected)).toBe(true);

    for (let taken = 0; taken < 2 * blocksUnderWay; taken += 1) expect(links[0].takeSlot(4)).not.toBeNull();
    expect(links[0].takeSlot(4)).toBeNull();
  });
});

describe('gRPC carries payloads', () => {
  const cases: [string, () => Promise<Peer[]>][] = [
    [
      'from one who does not share memory',
      async () => [await startPeer({ sharedMemory: null }), await startPeer({ sharedMemory: folder.path })],
    ],
    [
      'from one on another machine',
      async () => {
        const elsewhere = await startPeer({ sharedMemory: tmpdir() });
        return [elsewhere, await startPeer({ sharedMemory: folder.path })];
      },
    ],
    [
      'to one without memory to share',
      async () => {
        const without = await startPeer({ sharedMemory: join(folder.path, 'nowhere') });
        return [await startPeer({ sharedMemory: folder.path }), without];
      },
    ],
  ];

  it.each(cases)('%s', async (_, start) => {
    const links = await openLinks(await start(), 1n);
    expect(links[0].takeSlot(4)).toBeNull();
    expect(readdirSync(folder.path)).toEqual([]);
    expect(countDescriptors(folder.path)).toBe(0);
    const vectors = await openSum(links, 'float32')(2 * chunkBytes);
    const expected = await sumPlainly(2, 2 * chunkBytes, 'float32');
    for (const vector of vectors) expect(sameBits(vector, expected)).toBe(true);
  });

  it('to neighbours elsewhere, while those here share memory', async () => {
    const ring = await startPeers(3, { sharedMemory: folder.path });
    ring[1] = await startPeer({ sharedMemory: null });
    const links = await openLinks(ring, 1n);
    expect(links.map((link) => link.takeSlot(4) !== null)).toEqual([false, false, true]);
    const vectors = await openSum(links, 'bfloat16')(3 * chunkBytes);
    const expected = await sumPlainly(3, 3 * chunkBytes, 'bfloat16');
    for (const vector of vectors) expect(sameBits(vector, expected)).toBe(true);
  });
});

/** A link's takeSlot that has room only every other time. */
function everyOther(link: Link): Link['takeSlot'] {
  let calls = 0;
  return (bytes) => {
    calls += 1;
    return calls % 2 === 0 ? link.takeSlot(bytes) : null;
  };
}
