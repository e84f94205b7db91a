import { createServer, type Socket, type Server as SocketServer } from 'node:net';
import {
  logVerbosity,
  type Metadata,
  Server,
  ServerCredentials,
  type ServiceError,
  setLogVerbosity,
} from '@grpc/grpc-js';
import { RondoError } from '../errors.js';
import { formatHostPort, parseHostPort, requireLoopback } from '../host-port.js';
import { toGrpc } from './answer-error.js';
import { authentication } from './authentication.js';
import { noteCaller } from './caller.js';
import { type ConnectionGuard, defaultHandshakeMs, guardConnections, keyOf } from './connection-guard.js';
import type { RunCredentials } from './credentials.js';
import { readPreface } from './data-connection.js';
import { serverOptions } from './options.js';
import { logRefusedCalls, openRefusalLog, type RefusalLog, type Remote } from './refusals.js';
import { type CertifiedMember, listenSecurely } from './secure-listener.js';

/** A bound gRPC server. Both ways of ending it are safe to call twice. */
export interface GrpcServer {
  /** HOST:PORT, with the port that was really bound. */
  readonly address: string;
  /** Lets open calls end for up to `graceMs`, then breaks them off. */
  close(graceMs: number): Promise<void>;
  destroy(): void;
  /** Breaks off all connections of a member, by the name in its certificate. */
  disconnect(name: string): void;
  /** Whether such a member has a connection. */
  isConnected(name: string): boolean;
}

/** What is served to those that have no certificate yet. */
export interface AnonymousService {
  /** The largest message that a caller may send. */
  readonly maxReceiveBytes: number;
  register(server: Server): void;
  /**
   * Whether a call proves so much that its connection may stay; none does unless given.
   *
   * @throws RondoError to refuse the call.
   */
  admit?(path: string, metadata: Metadata): boolean;
}

export interface GrpcServerOptions {
  readonly credentials: RunCredentials;
  /** The largest message that a caller may send. */
  readonly maxReceiveBytes: number;
  /** Adds the services. */
  register(server: Server): void;
  /**
   * Called with whom a connection's certificate names. @throws RondoError to refuse the connection.
   */
  admit?(member: CertifiedMember): void;
  /**
   * Takes a data connection of a member, named where there are certificates, who brings `ticket`; none is taken unless
   * given. @throws RondoError to refuse it.
   */
  connect?(ticket: Buffer, socket: Socket, caller: string | null): void;
  /** Nothing, unless given; with certificates only. */
  readonly anonymous?: AnonymousService;
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
  const { credentials, anonymous } = options;
  const { tls, anyNetwork } = credentials.server;
  const { host, port } = anyNetwork ? parseHostPort(address) : requireLoopback(address);
  // What it logs, its callbacks say too; stderr belongs to this program's own words.
  if (process.env.GRPC_VERBOSITY === undefined) setLogVerbosity(logVerbosity.NONE);
  const refusals = openRefusalLog();
  const guard = guardConnections(refusals, options.handshakeMs);
  const members = new Map<string, { readonly socket: Socket; readonly name: string }>();
  const nameOf = (remote: Remote) => members.get(keyOf(remote))?.name ?? null;
  const server = new Server({
    ...serverOptions(options.maxReceiveBytes),
    interceptors: [
      logRefusedCalls(refusals, nameOf),
      authentication(guard, ({ metadata, remote }) => {
        credentials.server.authenticate(metadata);
        const name = nameOf(remote);
        if (name !== null) noteCaller(metadata, name);
        else if (tls !== null) throw new RondoError('unauthenticated', 'the connection has ended');
        return true;
      }),
    ],
  });
  options.register(server);
  // Connections are secured before they are handed on.
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const guests = anonymous === undefined ? null : openGuestServer(anonymous, guard, refusals);
  const connections = new Set<Socket>();
  const refuse = (
    { remoteAddress: remote }: Socket,
    { message: reason }: RondoError,
    caller: string | null = null,
  ) => refusals.refused('connection refused', { remote, ...(caller === null ? {} : { caller }), reason });
  const serve = (socket: Socket) => {
    if (options.connect === undefined) return injector.injectConnection(socket);
    readPreface(socket, (ticket) => {
      if (ticket === null) return injector.injectConnection(socket);
      const caller = nameOf(socket);
      try {
        options.connect?.(ticket, socket, caller);
      } catch (thrown) {
        socket.destroy();
        return refuse(socket, RondoError.from(thrown), caller);
      }
      guard.authenticated(socket);
      connections.add(socket);
      socket.once('close', () => connections.delete(socket));
    });
  };
  const secured =
    tls &&
    listenSecurely(tls, {
      handshakeMs: options.handshakeMs ?? defaultHandshakeMs,
      onSecured(socket, member) {
        // The guard ends it soon: nothing that a guest does proves anything.
        if (member === null && guests !== null) return guests.inject(socket);
        if (member === null) throw new RondoError('unauthenticated', 'it shows no certificate');
        options.admit?.(member);
        const key = keyOf(socket);
        members.set(key, { socket, name: member.name });
        socket.once('close', () => members.delete(key));
        serve(socket);
      },
      onRefused: (socket, error) => refuse(socket, error),
    });
  const listener = createServer({ noDelay: true }, (socket) => {
    guard.accept(socket);
    if (secured === null) serve(socket);
    else secured.secure(socket);
  });
  const bound = await listen(listener, host, port);

  let closing: Promise<void> | undefined;
  const destroy = () => {
    listener.close();
    secured?.close();
    guard.close();
    guests?.destroy();
    for (const socket of connections) socket.destroy();
    server.forceShutdown();
    refusals.close();
  };
  return {
    address: formatHostPort({ host, port: bound }),
    close(graceMs) {
      listener.close();
      closing ??= shutDown(server, graceMs).finally(destroy);
      return closing;
    },
    destroy,
    isConnected: (name) => [...members.values()].some((member) => member.name === name),
    disconnect(name) {
      for (const { socket, name: other } of [...members.values()]) if (other === name) socket.destroy();
    },
  };
}

function openGuestServer(
  { maxReceiveBytes, register, admit }: AnonymousService,
  guard: ConnectionGuard,
  refusals: RefusalLog,
) {
  const interceptors = [
    logRefusedCalls(refusals, () => null),
    authentication(guard, ({ path, metadata }) => admit?.(path, metadata) ?? false),
  ];
  const server = new Server({ ...serverOptions(maxReceiveBytes), interceptors });
  register(server);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return {
    inject: (socket: Socket) => injector.injectConnection(socket),
    destroy: () => server.forceShutdown(),
  };
}

/** Ends a call with what was thrown while it was handled. */
export function failCall(
  call: { emit(event: 'error', error: Partial<ServiceError>): unknown },
  thrown: unknown,
): void {
  call.emit('error', toGrpc(thrown));
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
