import type { PeerServer } from '../../../../proto/gen/peer.js';
import type { RunCredentials } from '../../../../runtime/grpc/credentials.js';
import { type GrpcServer, type GrpcServerOptions, openGrpcServer } from '../../../../runtime/grpc/server.js';
import { peerService } from '../../codec/wire-format.js';

/** Requests of peers are a few numbers. */
const maxReceiveBytes = 64 << 10;

/**
 * Serves peer.proto on `listen` (HOST:PORT, port 0 for a free one), for those that hold the run's
 * credentials.
 *
 * @throws RondoError as `openGrpcServer` does.
 */
export function startPeerServer(
  listen: string,
  credentials: RunCredentials,
  service: PeerServer,
  connect?: GrpcServerOptions['connect'],
): Promise<GrpcServer> {
  return openGrpcServer(listen, {
    credentials,
    maxReceiveBytes,
    ...(connect && { connect }),
    register: (server) => server.addService(peerService, service),
  });
}
