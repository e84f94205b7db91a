import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { chunkBytes } from '../../../worker/collective/geometry.js';
import { type LaneThread, startLaneThread } from '../../../worker/collective/lanes.js';
import { type OpenRing, openRing } from '../../../worker/collective/open-ring.js';
import type { Ring } from '../../../worker/collective/rounds.js';
import { testCredentials } from '../../support/credentials.js';
import { type Peer, startPeers, stopPeers } from '../../support/grpc-peers.js';
import { rankVector, sameBits, toShared } from '../../support/vectors.js';

// Threads run compiled code, as workers do.
const program = new URL('../../../dist/worker/collective/lane-thread.js', import.meta.url);
const { signal } = new AbortController();
const threads: LaneThread[] = [];

beforeAll(() => {
  expect(existsSync(fileURLToPath(program)), 'npm run build comes first').toBe(true);
});

afterEach(async () => {
  stopPeers();
  await Promise.all(threads.splice(0).map((thread) => thread.destroy()));
});

async function startLanes(count: number): Promise<LaneThread[]> {
  const started = await Promise.all(
    Array.from({ length: count }, () =>
      startLaneThread(
        { address: '127.0.0.1:0', advertise: null, identity: testCredentials.identity, waitMs: 10_000 },
        program,
      ),
    ),
  );
  threads.push(...started);
  return started;
}

function openRings(
  peers: readonly Peer[],
  lanes: readonly (readonly LaneThread[])[],
  generation: bigint,
  abort = signal,
): Promise<OpenRing[]> {
  const worldSize = peers.length;
  return Promise.all(
    peers.map(({ exchange }, rank) =>
      openRing({
        ...{ exchange, lanes: lanes[rank], generation, rank, worldSize, signal: abort },
        names: [],
        transport: 'sockets',
        addresses: peers.map(({ address }) => address),
        wire: 'bfloat16',
        vectors: [],
      }),
    ),
  );
}

function sumAll(rings: readonly Ring[], length: number): Promise<PromiseSettledResult<Float32Array>[]> {
  return Promise.allSettled(
    rings.map(async (ring, rank) => {
      const vector = toShared(rankVector(rank, length));
      await ring.allReduce(vector, { signal });
      return vector;
    }),
  );
}

describe('lanes in threads', () => {
  it('sum to the same bits as one lane, over generations and changing vectors', async () => {
    const worldSize = 2;
    const [peers, alone] = [await startPeers(worldSize), await startPeers(worldSize)];
    const lanes = [await startLanes(2), await startLanes(2)];
    for (const generation of [1n, 2n]) {
      const rings = await openRings(peers, lanes, generation);
      const single = await openRings(alone, [[], []], generation);
      for (const length of [1000, (7 * worldSize * chunkBytes) / 2 + 11, 3 * worldSize * chunkBytes]) {
        const [expected] = await sumAll(single, length);
        for (const outcome of await sumAll(rings, length)) {
          if (outcome.status === 'rejected' || expected.status === 'rejected') expect(outcome).toBe(expected);
          else expect(sameBits(outcome.value, expected.value)).toBe(true);
        }
      }
      for (const ring of [...rings, ...single]) ring.close();
    }
  });

  it('break the ring, by name, when a thread dies amid a sum', async () => {
    const lanes = [await startLanes(1), await startLanes(1)];
    const rings = await openRings(await startPeers(2), lanes, 1n);
    const sums = sumAll(rings, 16 * chunkBytes);
    await lanes[1][0].destroy();
    const [first, second] = await sums;
    expect(first).toMatchObject({ status: 'rejected', reason: { name: 'RondoError' } });
    expect(second).toMatchObject({
      status: 'rejected',
      reason: { code: 'internal', message: expect.stringContaining("a lane's thread has ended") },
    });
  });

  it('stop when the generation is aborted', async () => {
    const generation = new AbortController();
    const lanes = [await startLanes(1), await startLanes(1)];
    const rings = await openRings(await startPeers(2), lanes, 1n, generation.signal);
    const sums = sumAll(rings, 16 * chunkBytes);
    generation.abort();
    for (const outcome of await sums) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'aborted' } });
    }
  });

  it('say why they cannot listen, and what helps', async () => {
    const [lane] = await startLanes(1);
    const taken = startLaneThread(
      { address: lane.address, advertise: null, identity: testCredentials.identity, waitMs: 10_000 },
      program,
    );
    await expect(taken).rejects.toMatchObject({
      name: 'RondoError',
      code: 'failed-precondition',
      remedy: expect.stringMatching(/\S/),
    });
  });

  it('are refused where the predecessor has another number of them', async () => {
    const rings = openRings(await startPeers(2), [await startLanes(1), []], 1n);
    await expect(rings).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringMatching(/the predecessor has \d lanes, this rank \d/),
    });
  });
});
