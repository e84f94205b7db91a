import { Server, ServerCredentials, type ServerWritableStream } from '@grpc/grpc-js';
import type { StateChunk } from '../../proto/gen/coordinator.js';
import { type CopyStateRequest, PeerService } from '../../proto/gen/peer.js';

export interface PeerStateServer {
  readonly address: string;
  close(): void;
}

/** A peer service on a free loopback port that answers CopyState by `serve`, and no Exchange. */
export async function servePeerState(
  serve: (call: ServerWritableStream<CopyStateRequest, StateChunk>) => void,
): Promise<PeerStateServer> {
  const server = new Server();
  server.addService(PeerService, { exchange: (call: { end(): void }) => call.end(), copyState: serve });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return { address: `127.0.0.1:${port}`, close: () => server.forceShutdown() };
}
