import type { RingTransport } from '../../plan/run-config.js';
import type { PeerServer } from '../../proto/gen/peer.js';
import type { RunCredentials } from '../../runtime/grpc/credentials.js';
import type { GrpcServer } from '../../runtime/grpc/server.js';
import {
  createExchange,
  type Exchange,
  type ExchangeOptions,
} from '../../worker/collective/transport/grpc/grpc-link.js';
import { startPeerServer } from '../../worker/collective/transport/grpc/peer-server.js';
import type { Link } from '../../worker/collective/transport/link.js';
import { testCredentials } from './credentials.js';

/** A worker's end of its exchanges behind a real gRPC server. */
export interface Peer {
  readonly exchange: Exchange;
  readonly server: GrpcServer;
  readonly address: string;
}

const peers: Peer[] = [];
const never = new AbortController().signal;

export function startPeers(count: number, options: Partial<ExchangeOptions> = {}): Promise<Peer[]> {
  return Promise.all(Array.from({ length: count }, () => startPeer(options)));
}

export async function startPeer(
  options: Partial<ExchangeOptions> = {},
  credentials: RunCredentials = testCredentials,
): Promise<Peer> {
  const exchange = createExchange(credentials, { waitMs: () => 10_000, ...options });
  const service: PeerServer = { exchange: exchange.handler, copyState: (call) => call.end() };
  const server = await startPeerServer('127.0.0.1:0', credentials, service, exchange.connect);
  const peer = { exchange, server, address: server.address };
  peers.push(peer);
  return peer;
}

/** Ends all that were started. For afterEach. */
export function stopPeers(): void {
  for (const { exchange, server } of peers.splice(0)) {
    exchange.close();
    server.destroy();
  }
}

export function openLinks(
  ring: readonly Peer[],
  generation: bigint,
  signal = never,
  transport: RingTransport = 'sockets',
): Promise<Link[]> {
  return Promise.all(ring.map((_, rank) => openLink(ring, rank, generation, signal, transport)));
}

export function openLink(
  ring: readonly Peer[],
  rank: number,
  generation: bigint,
  signal = never,
  transport: RingTransport = 'sockets',
): Promise<Link> {
  const worldSize = ring.length;
  const predecessorAddress = ring[(rank + worldSize - 1) % worldSize].address;
  const place = { generation, rank, worldSize, names: [], predecessorAddress, transport, signal };
  return ring[rank].exchange.openLink(place);
}
