import type { FloatType, RingTransport } from '../../plan/run-config.js';
import { RondoError } from '../../runtime/errors.js';
import { log } from '../../runtime/log.js';
import { createRing } from './all-reduce.js';
import { cutBlocks, predecessorOf } from './geometry.js';
import { openHostRings } from './host-rings.js';
import type { LaneOfRing, LaneThread } from './lanes.js';
import type { Ring } from './rounds.js';
import { createSharedSum } from './shared-sum.js';
import type { Exchange } from './transport/grpc/grpc-link.js';
import type { Link } from './transport/link.js';
import { type HostVectors, shareVectors } from './vector-sharing.js';

export interface OpenRing extends Ring {
  /** What was sent still leaves. */
  close(): void;
}

/**
 * Joins the ring of a generation. `vectors` of ranks on one host are summed where they lie, and only sums of hosts go
 * around. What goes around is divided among all lanes: this thread's, and `lanes`. The predecessor says in its first
 * answer where its lanes are.
 *
 * @throws RondoError as `Exchange.openLink`, and `failed-precondition` when the predecessor has another
 *   number of lanes.
 */
export async function openRing(o: {
  exchange: Exchange;
  lanes: readonly LaneThread[];
  generation: bigint;
  rank: number;
  worldSize: number;
  /** By rank: HOST:PORT of its peer server, and what its certificate must say. */
  addresses: readonly string[];
  names: readonly string[];
  wire: FloatType;
  transport: RingTransport;
  /** Those that are to be summed, whole. Where several ranks are on one machine, they are shared, and lose their values. */
  vectors: readonly Float32Array[];
  signal: AbortSignal;
}): Promise<OpenRing> {
  const { signal } = o;
  const ending = new AbortController();
  const end = (reason: unknown) => {
    signal.removeEventListener('abort', onAbort);
    ending.abort(reason);
  };
  const onAbort = () => end(signal.reason);
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) onAbort();
  try {
    return await openLanes(o, ending.signal, end);
  } catch (error) {
    end(error);
    throw error;
  }
}

async function openLanes(
  o: Parameters<typeof openRing>[0],
  signal: AbortSignal,
  end: (reason: unknown) => void,
): Promise<OpenRing> {
  const { generation, rank, worldSize, wire, addresses, names, transport } = o;
  const laneAddresses = o.lanes.map(({ address }) => address);
  const place = { generation, rank, worldSize };
  const link = await o.exchange.openLink({
    ...{ ...place, names, laneAddresses, transport, signal },
    predecessorAddress: addresses[predecessorOf(rank, worldSize)]!,
  });
  const count = o.lanes.length + 1;
  if (link.predecessorLanes.length + 1 !== count) {
    const text = `the predecessor has ${link.predecessorLanes.length + 1} lanes, this rank ${count}`;
    throw new RondoError('failed-precondition', text, {
      remedy: 'All workers of a run must have the same version.',
    });
  }
  /** With all lanes around `ranks`, whose `laneLink` says where the predecessor's are. */
  const ringOf = async (laneLink: Link, ranks: readonly number[]) => {
    const optionsOf = (index: number) => ({
      ...{ generation, rank: ranks.indexOf(rank), worldSize: ranks.length, wire, lane: { index, count } },
    });
    const further = await Promise.all(
      o.lanes.map((lane, index) =>
        lane.openRing({
          ...{ ring: optionsOf(index + 1), ranks, names, transport, signal },
          predecessorAddress: laneLink.predecessorLanes[index]!,
        }),
      ),
    );
    return joinLanes(createRing({ ...optionsOf(0), link: laneLink }), further, ranks.length);
  };
  const shared = worldSize > 1 ? await shareAll(o, link, signal) : null;
  const summing =
    shared === null
      ? await ringOf(link, [...Array(worldSize).keys()])
      : createSharedSum({
          ...(await openHostRings({ ...o, signal, link, laneAddresses, hosts: shared.hosts, ringOf })),
          ...{ wire, vectors: shared.vectors, ring: createRing({ ...place, wire, link }) },
        });
  const hosts = shared?.hosts.map(({ length }) => length) ?? Array(worldSize).fill(1);
  log('info', 'ring opened', { generation: Number(generation), lanes: count, ranksByHost: hosts });
  return {
    ...summing,
    close() {
      link.close();
      end(new RondoError('aborted', `the ring of generation ${generation} was closed`));
    },
  };
}

/** Shares vectors as `shareVectors` does, until `signal` aborts. */
async function shareAll(
  { exchange, generation, rank, worldSize, vectors }: Parameters<typeof openRing>[0],
  link: Link,
  signal: AbortSignal,
): Promise<HostVectors | null> {
  const place = { generation, rank, worldSize };
  const shared = await shareVectors({ ...place, link, vectors, directory: exchange.sharedMemory, signal });
  if (shared === null) return null;
  const { vectors: here } = shared;
  signal.addEventListener('abort', () => here.close(), { once: true });
  if (signal.aborted) here.close();
  return shared;
}

/**
 * One ring of several lanes, each of which sums its own blocks of every vector at the same time; lanes that a
 * vector has no blocks for rest. Bytes are gathered by the first lane.
 *
 * When one lane fails, the others are aborted; the call rejects with the first failure when none works on the
 * vector any more.
 */
export function joinLanes(first: Ring, further: readonly LaneOfRing[], worldSize: number): Ring {
  if (further.length === 0) return first;
  const lanes = [first, ...further];
  return {
    allGather: first.allGather,
    async allReduce(vector, { signal }) {
      const busy = lanes.slice(0, Math.max(1, cutBlocks(vector.length, worldSize).length));
      const breakage = new AbortController();
      const pass = () => breakage.abort(signal.reason);
      signal.addEventListener('abort', pass);
      if (signal.aborted) pass();
      const outcomes = await Promise.allSettled(
        busy.map((lane) =>
          lane.allReduce(vector, { signal: breakage.signal }).catch((error: unknown) => {
            breakage.abort(error);
            throw breakage.signal.reason;
          }),
        ),
      );
      signal.removeEventListener('abort', pass);
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    },
  };
}
