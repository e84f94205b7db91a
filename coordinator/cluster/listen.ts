import { HealthImplementation } from 'grpc-health-check';
import { type CoordinatorServer, CoordinatorService } from '../../proto/gen/coordinator.js';
import { serializeStateChunk } from '../../proto/state-chunk.js';
import type { RunCredentials } from '../../runtime/grpc/credentials.js';
import { type GrpcServer, openGrpcServer } from '../../runtime/grpc/server.js';
import type { Authority } from './authority.js';
import { guestService, renewalHandler } from './enrolment-service.js';
import type { Operators } from './operators.js';

const healthName = 'rondo.coordinator.v1.Coordinator';

const coordinatorService = {
  ...CoordinatorService,
  fetchCheckpoint: { ...CoordinatorService.fetchCheckpoint, responseSerialize: serializeStateChunk },
};

/** A worker's share of an evaluation is its largest message: some 20 bytes an image. */
const maxReceiveBytes = 64 << 20;

export interface ListenOptions {
  /** HOST:PORT; port 0 takes any free one. */
  readonly listen: string;
  readonly credentials: RunCredentials;
  /** Gives workers their certificates; null, or not given, where there are none. */
  readonly authority?: Authority | null;
  /** Who may ask the run without one. */
  readonly operators?: Operators | null;
}

/**
 * Serves the coordinator's service and gRPC health for those that hold the run's credentials; with `authority`,
 * enrolment for those that hold none, and what `operators` may ask.
 *
 * @throws RondoError as `openGrpcServer` does.
 */
export async function listen(
  { listen: address, credentials, authority = null, operators = null }: ListenOptions,
  service: Omit<CoordinatorServer, 'renew'>,
): Promise<GrpcServer> {
  const health = new HealthImplementation({ '': 'SERVING', [healthName]: 'SERVING' });
  const server = await openGrpcServer(address, {
    credentials,
    maxReceiveBytes,
    ...(authority !== null && { admit: authority.admit, anonymous: guestService(authority, operators) }),
    register(services) {
      services.addService(coordinatorService, { ...service, renew: renewalHandler(authority) });
      health.addToServer(services);
    },
  });
  authority?.guard(server);
  return {
    ...server,
    close(graceMs) {
      health.setStatus('', 'NOT_SERVING');
      health.setStatus(healthName, 'NOT_SERVING');
      return server.close(graceMs);
    },
  };
}
