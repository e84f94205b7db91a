import type { ServerWritableStream } from '@grpc/grpc-js';
import type { StateChunk } from '../../proto/gen/coordinator.js';
import { type CopyStateRequest, PeerService } from '../../proto/gen/peer.js';
import { openGrpcServer } from '../../runtime/grpc/server.js';
import { testCredentials } from './credentials.js';

export interface PeerStateServer {
  readonly address: string;
  close(): void;
}

/** A peer service on a free loopback port that answers CopyState by `serve`, and no Exchange. */
export async function servePeerState(
  serve: (call: ServerWritableStream<CopyStateRequest, StateChunk>) => void,
): Promise<PeerStateServer> {
  const server = await openGrpcServer('127.0.0.1:0', {
    credentials: testCredentials,
    maxReceiveBytes: 1 << 10,
    register: (services) =>
      services.addService(PeerService, { exchange: (call: { end(): void }) => call.end(), copyState: serve }),
  });
  return { address: server.address, close: () => server.destroy() };
}
