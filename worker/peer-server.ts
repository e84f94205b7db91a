import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { PeerServer } from '../proto/gen/peer.js';
import { RondoError } from '../runtime/errors.js';
import { formatHostPort, requireLoopback } from '../runtime/host-port.js';
import { peerService } from './collective/wire-format.js';

export interface PeerServerHandle {
  /** HOST:PORT that other workers and the coordinator reach. */
  readonly address: string;
  /** Ends every call. Safe to call twice. */
  destroy(): void;
}

/** Serves peer.proto on `listen` (HOST:PORT, port 0 for a free one). Only loopback: there are no credentials yet. */
export async function startPeerServer(listen: string, service: PeerServer): Promise<PeerServerHandle> {
  const { host } = requireLoopback(listen);
  const unlimited = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };
  const server = new Server(unlimited);
  server.addService(peerService, service);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(listen, ServerCredentials.createInsecure(), (error, bound) => {
      if (error) {
        reject(
          new RondoError('failed-precondition', `cannot listen on ${listen}: ${error.message}`, {
            remedy: 'choose a free port with --listen HOST:PORT; port 0 takes any',
            cause: error,
          }),
        );
      } else resolve(bound);
    });
  });
  return { address: formatHostPort({ host, port }), destroy: () => server.forceShutdown() };
}
