import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RunCredentials } from '../../../runtime/grpc/credentials.js';
import { workerName } from '../../../runtime/member-name.js';
import { chunkBytes } from '../../../worker/collective/geometry.js';
import { type LaneThread, startLaneThread } from '../../../worker/collective/lanes.js';
import type { OpenRing } from '../../../worker/collective/open-ring.js';
import type { Ring } from '../../../worker/collective/rounds.js';
import { closeCertifiedRuns, openCertifiedRun } from '../../support/certified-run.js';
import { testCredentials } from '../../support/credentials.js';
import { type Peer, startPeers, stopPeers } from '../../support/grpc-peers.js';
import { allocateAll, openRings, openSharedFolders, startHosts, sumParts } from '../../support/rings.js';
import { rankVector, sameBits, sumOf, toShared } from '../../support/vectors.js';

// Threads run compiled code, as workers do.
const program = new URL('../../../dist/worker/collective/lane-thread.js', import.meta.url);
const { signal } = new AbortController();
const threads: LaneThread[] = [];

beforeAll(() => {
  expect(existsSync(fileURLToPath(program)), 'npm run build comes first').toBe(true);
});

afterEach(async () => {
  stopPeers();
  closeCertifiedRuns();
  await Promise.all(threads.splice(0).map((thread) => thread.destroy()));
});

async function startLanes(
  count: number,
  { identity }: Pick<RunCredentials, 'identity'> = testCredentials,
): Promise<LaneThread[]> {
  const started = await Promise.all(
    Array.from({ length: count }, () =>
      startLaneThread({ address: '127.0.0.1:0', advertise: null, identity, waitMs: 10_000 }, program),
    ),
  );
  threads.push(...started);
  return started;
}

/** Of ranks that share nothing. */
function openApart(
  peers: readonly Peer[],
  lanes: readonly (readonly LaneThread[])[],
  generation: bigint,
  abort = signal,
): Promise<OpenRing[]> {
  const nothing = peers.map(() => []);
  return openRings(peers, nothing, { lanes, generation, signal: abort, wire: 'bfloat16' });
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
      const rings = await openApart(peers, lanes, generation);
      const single = await openApart(alone, [[], []], generation);
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
    const rings = await openApart(await startPeers(2), lanes, 1n);
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
    const rings = await openApart(await startPeers(2), lanes, 1n, generation.signal);
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
    const rings = openApart(await startPeers(2), [await startLanes(1), []], 1n);
    await expect(rings).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringMatching(/the predecessor has \d lanes, this rank \d/),
    });
  });
});

describe('lanes of ranks on several hosts', () => {
  const shared = openSharedFolders();

  it.each([
    { wire: 'float32' as const, hasCertificates: false },
    { wire: 'bfloat16' as const, hasCertificates: true },
  ])('sum what goes around between hosts to the same bits: %o', async ({ wire, hasCertificates }) => {
    const ids = ['worker-0', 'worker-1', 'worker-2'];
    const run = hasCertificates ? await openCertifiedRun() : null;
    const credentials = run === null ? [] : await Promise.all(ids.map(run.credentialsOf));
    const { peers, relays, addressesOf } = await startHosts(shared.path, [2, 1], credentials);
    const lanes = await Promise.all(peers.map((_, rank) => startLanes(2, credentials[rank])));
    const names = ids.map(workerName);
    // A block for each lane.
    const lengths = [1000, 2 * 2 * (chunkBytes / 4) + 5];
    const vectors = allocateAll(peers.length, lengths);
    const rings = await openRings(peers, vectors, { lanes, wire, names, addressesOf });
    expect(shared.mappings()).toBeGreaterThan(0);
    for (const [index, length] of lengths.entries()) {
      const inputs = peers.map((_, rank) => rankVector(rank, length));
      const own = vectors.map((each) => each[index]);
      for (const sum of await sumParts(rings, own)) expect(sameBits(sum, sumOf(inputs, wire))).toBe(true);
    }
    for (const relay of relays) relay.destroy();
  });

  it('take part between the first ranks of hosts, and nowhere else', async () => {
    const { peers, relays, addressesOf } = await startHosts(shared.path, [2, 2]);
    const lanes = await Promise.all(peers.map(() => startLanes(1)));
    const vectors = allocateAll(4, [2 * 2 * (chunkBytes / 4)]);
    const whole = vectors.map(([vector]) => vector);
    const rings = await openRings(peers, vectors, { lanes, addressesOf });
    await Promise.all([1, 3].map((rank) => lanes[rank][0].destroy()));
    const sums = await sumParts(rings, whole);
    expect(sameBits(sums[3], sums[0])).toBe(true);
    await lanes[2][0].destroy();
    const broken = rings[2].allReduce(whole[2], { signal });
    const others = Promise.allSettled(
      [0, 1, 3].map((rank) => rings[rank].allReduce(whole[rank], { signal })),
    );
    await expect(broken).rejects.toThrow("a lane's thread has ended");
    for (const ring of rings) ring.close();
    await others;
    for (const relay of relays) relay.destroy();
  });
});
