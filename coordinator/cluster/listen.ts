import { logVerbosity, Server, ServerCredentials, setLogVerbosity } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { type CoordinatorServer, CoordinatorService } from '../../proto/gen/coordinator.js';
import { serializeStateChunk } from '../../proto/state-chunk.js';
import { RondoError } from '../../runtime/errors.js';
import { formatHostPort, parseHostPort, requireLoopback } from '../../runtime/host-port.js';

/** A bound gRPC server. Both ways of ending it are safe to call twice. */
export interface Listening {
  /** HOST:PORT, with the port that was really bound. */
  readonly address: string;
  /** Lets open calls end for up to `graceMs`, then breaks them off. */
  close(graceMs: number): Promise<void>;
  destroy(): void;
}

const healthName = 'rondo.coordinator.v1.Coordinator';

const coordinatorService = {
  ...CoordinatorService,
  fetchCheckpoint: { ...CoordinatorService.fetchCheckpoint, responseSerialize: serializeStateChunk },
};

const serverOptions = {
  // A dataset index of millions of samples is one message; what workers send is far smaller.
  'grpc.max_send_message_length': -1,
  'grpc.max_receive_message_length': 64 << 20,
  // Finds a peer whose machine is gone; a hung process is found by its heartbeats.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
};

/**
 * Serves the coordinator's service and gRPC health on `address` (HOST:PORT, port 0 for any free one).
 *
 * @throws RondoError invalid-argument for a malformed or foreign address, permission-denied beyond loopback,
 *   failed-precondition when the port is taken.
 */
export async function listen(address: string, service: CoordinatorServer): Promise<Listening> {
  const { host, port } = requireLoopback(address);
  // What it logs, its callbacks say too; stderr belongs to this program's own words.
  if (process.env.GRPC_VERBOSITY === undefined) setLogVerbosity(logVerbosity.NONE);
  const server = new Server(serverOptions);
  const health = new HealthImplementation({ '': 'SERVING', [healthName]: 'SERVING' });
  server.addService(coordinatorService, service);
  health.addToServer(server);
  const bound = await bind(server, formatHostPort({ host, port }));

  let closing: Promise<void> | undefined;
  return {
    address: formatHostPort({ host, port: bound }),
    close(graceMs) {
      health.setStatus('', 'NOT_SERVING');
      health.setStatus(healthName, 'NOT_SERVING');
      closing ??= shutDown(server, graceMs);
      return closing;
    },
    destroy() {
      server.forceShutdown();
    },
  };
}

function bind(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(describeBindError(address, error));
    });
  });
}

function describeBindError(address: string, error: Error): RondoError {
  const options = { cause: error };
  if (error.message.includes('EADDRINUSE')) {
    return new RondoError('failed-precondition', `port ${parseHostPort(address).port} is already in use`, {
      ...options,
      remedy: `end the program that listens on ${address}, or choose another port with --listen; port 0 takes any free one`,
    });
  }
  if (error.message.includes('EACCES')) {
    return new RondoError('permission-denied', `this user may not listen on ${address}`, {
      ...options,
      remedy: 'choose a port above 1023 with --listen',
    });
  }
  return new RondoError('invalid-argument', `cannot listen on ${address}: ${error.message}`, {
    ...options,
    remedy: 'give --listen an address of this machine',
  });
}

/** tryShutdown waits for open calls without end, so it races against a timer. */
function shutDown(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, graceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
