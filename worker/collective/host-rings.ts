import type { RingTransport } from '../../plan/run-config.js';
import { RingKind } from '../../proto/gen/peer.js';
import { predecessorOf } from './geometry.js';
import type { Ring } from './rounds.js';
import type { SharedSumOptions } from './shared-sum.js';
import type { Exchange } from './transport/grpc/grpc-link.js';
import type { Link } from './transport/link.js';

/** A rank's place among those of its host, and the rings that it takes part in for it. */
export type HostPlace = Pick<
  SharedSumOptions,
  'generation' | 'rank' | 'worldSize' | 'link' | 'hostCount' | 'betweenHosts'
>;

/**
 * Opens what ranks on several hosts need beside the ring of all: one of each host's ranks, in which they wait for each
 * other, and one of the hosts' first ranks. On one host `link`, that of all ranks, is the host's.
 *
 * @throws RondoError as `Exchange.openLink`.
 */
export async function openHostRings(o: {
  exchange: Exchange;
  generation: bigint;
  rank: number;
  worldSize: number;
  /** Of all ranks. */
  link: Link;
  /** By rank: HOST:PORT of its peer server, and what its certificate must say. */
  addresses: readonly string[];
  names: readonly string[];
  /** HOST:PORT of this rank's further lanes, which may take part between hosts. */
  laneAddresses: readonly string[];
  transport: RingTransport;
  hosts: readonly (readonly number[])[];
  /** Sums around `ranks` by a link of theirs. */
  ringOf(link: Link, ranks: readonly number[]): Promise<Ring>;
  signal: AbortSignal;
}): Promise<HostPlace> {
  const { exchange, generation, rank, worldSize, link, addresses, names, laneAddresses, hosts, signal } = o;
  const host = hosts.find((ranks) => ranks.includes(rank))!;
  const firsts = hosts.map(([first]) => first!);
  const place = {
    ...{ generation, rank: host.indexOf(rank), worldSize: host.length },
    hostCount: hosts.length,
  };
  if (hosts.length === 1) return { ...place, link, betweenHosts: null };

  const open = (kind: RingKind, ranks: readonly number[], transport: RingTransport) =>
    exchange.openLink({
      ...{ generation, rank, worldSize, ring: { kind, ranks }, names, laneAddresses, transport, signal },
      predecessorAddress: addresses[ranks[predecessorOf(ranks.indexOf(rank), ranks.length)]!]!,
    });
  const [within, between] = await Promise.all([
    // A rank alone waits for nobody; what is said within a host is not worth a connection.
    host.length === 1 ? link : open(RingKind.RING_KIND_WITHIN_HOST, host, 'grpc'),
    place.rank > 0 ? null : open(RingKind.RING_KIND_BETWEEN_HOSTS, firsts, o.transport),
  ]);
  return { ...place, link: within, betweenHosts: between && (await o.ringOf(between, firsts)) };
}
