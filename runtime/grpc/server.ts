import { createServer, type Server as SocketServer } from 'node:net';
import {
  logVerbosity,
  Server,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServiceError,
  setLogVerbosity,
} from '@grpc/grpc-js';
import { RondoError } from '../errors.js';
import { formatHostPort, parseHostPort, requireLoopback } from '../host-port.js';
import { type ConnectionGuard, guardConnections } from './connection-guard.js';
import type { RunCredentials } from './credentials.js';
import { serverOptions } from './options.js';

/** A bound gRPC server. Both ways of ending it are safe to call twice. */
export interface GrpcServer {
  /** HOST:PORT, with the port that was really bound. */
  readonly address: string;
  /** Lets open calls end for up to `graceMs`, then breaks them off. */
  close(graceMs: number): Promise<void>;
  destroy(): void;
}

export interface GrpcServerOptions {
  readonly credentials: RunCredentials;
  /** The largest message that a caller may send. */
  readonly maxReceiveBytes: number;
  /** Adds the services. */
  register(server: Server): void;
  /**
   * Listens beyond loopback too, where a token can be read on its way: for benches in networks of their own.
   */
  readonly anyNetwork?: boolean;
  /**
   * How long a connection may be there before a call of it was authenticated; 5 s unless a test says
   * otherwise.
   */
  readonly handshakeMs?: number;
}

/**
 * Serves on `address` (HOST:PORT, port 0 for any free one). No call reaches a handler before `credentials`
 * accepted it.
 *
 * @throws RondoError invalid-argument for a malformed or foreign address, permission-denied beyond loopback,
 *   failed-precondition when the port is taken.
 */
export async function openGrpcServer(address: string, options: GrpcServerOptions): Promise<GrpcServer> {
  const { host, port } = options.anyNetwork ? parseHostPort(address) : requireLoopback(address);
  // What it logs, its callbacks say too; stderr belongs to this program's own words.
  if (process.env.GRPC_VERBOSITY === undefined) setLogVerbosity(logVerbosity.NONE);
  const guard = guardConnections(options.handshakeMs);
  const server = new Server({
    ...serverOptions(options.maxReceiveBytes),
    interceptors: [authentication(options.credentials, guard)],
  });
  options.register(server);
  const injector = server.createConnectionInjector(options.credentials.server.credentials);
  const listener = createServer({ noDelay: true }, (socket) => {
    guard.accept(socket);
    injector.injectConnection(socket);
  });
  const bound = await listen(listener, host, port);

  let closing: Promise<void> | undefined;
  const destroy = () => {
    listener.close();
    guard.close();
    server.forceShutdown();
  };
  return {
    address: formatHostPort({ host, port: bound }),
    close(graceMs) {
      listener.close();
      closing ??= shutDown(server, graceMs).finally(destroy);
      return closing;
    },
    destroy,
  };
}

/** Ends a call with what was thrown while it was handled. */
export function failCall(
  call: { emit(event: 'error', error: Partial<ServiceError>): unknown },
  thrown: unknown,
): void {
  call.emit('error', RondoError.from(thrown).toGrpc());
}

function authentication({ server }: RunCredentials, guard: ConnectionGuard): ServerInterceptor {
  return (_method, call) =>
    new ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata, proceed) {
            try {
              server.authenticate(metadata);
            } catch (thrown) {
              // Nothing of the call was read yet, and nothing will be.
              return call.sendStatus(RondoError.from(thrown).toGrpc());
            }
            guard.authenticated(call.getConnectionInfo());
            proceed(metadata);
          },
        });
      },
    });
}

function listen(listener: SocketServer, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    listener.once('error', (error) => reject(describeListenError(formatHostPort({ host, port }), error)));
    listener.listen({ host, port }, () => {
      const address = listener.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

function describeListenError(address: string, error: NodeJS.ErrnoException): RondoError {
  const port = address.slice(address.lastIndexOf(':') + 1);
  const options = { cause: error };
  if (error.code === 'EADDRINUSE') {
    return new RondoError('failed-precondition', `port ${port} is already in use`, {
      ...options,
      remedy: `end the program that listens on ${address}, or choose another port with --listen; port 0 takes any free one`,
    });
  }
  if (error.code === 'EACCES') {
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
    const timer = setTimeout(resolve, graceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
