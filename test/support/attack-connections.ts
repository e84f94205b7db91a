import { connect as connectPlainly } from 'node:net';
import { type ConnectionOptions, connect as connectSecurely } from 'node:tls';
import type { ServiceError } from '@grpc/grpc-js';
import type { ControlClient } from '../../proto/gen/control.js';
import { CoordinatorClient, type EnrolmentClient } from '../../proto/gen/coordinator.js';
import type { KeyPair } from '../../runtime/certificates.js';
import type { RunCredentials } from '../../runtime/grpc/credentials.js';
import { channelOptions } from '../../runtime/grpc/options.js';
import { version } from '../../runtime/installation.js';
import { coordinatorName } from '../../runtime/member-name.js';

const closing: (() => void)[] = [];

/** Has something ended by `closeAttacks`. */
export function closeLater(close: () => void): void {
  closing.push(close);
}

/** Closes what attackers have open: for afterEach. */
export function closeAttacks(): void {
  for (const close of closing.splice(0)) close();
}

/** A coordinator, and who its certificate is of. */
interface Place {
  readonly address: string;
  readonly authority: Pick<KeyPair, 'certificate'>;
}

/** By what a caller proves who it is. */
export type Proof = Pick<RunCredentials, 'channel'>;

/** How a call by `credentials` ends. */
export function call<C extends CoordinatorClient | EnrolmentClient | ControlClient>(
  { address }: Pick<Place, 'address'>,
  Class: new (...inputs: ConstructorParameters<typeof CoordinatorClient>) => C,
  credentials: Proof,
  ask: (client: C, done: (error: ServiceError | null) => void) => unknown,
  more: object = {},
): Promise<ServiceError | null> {
  const proof = credentials.channel(coordinatorName);
  const client = new Class(address, proof.credentials, {
    ...{ ...channelOptions(1 << 20), 'grpc.ssl_target_name_override': proof.serverName!, ...more },
  });
  closeLater(() => client.close());
  return new Promise((resolve) => ask(client, resolve));
}

/** A TLS connection that is tried, until it has ended. */
export function handshake({ address, authority }: Place, options: ConnectionOptions): Promise<unknown> {
  const [host, port] = address.split(':');
  const socket = connectSecurely({
    ...{ host: host!, port: Number(port), servername: coordinatorName, ALPNProtocols: ['h2'] },
    ...{ ca: authority.certificate, minVersion: 'TLSv1.2', ...options },
  });
  return new Promise((resolve) => socket.on('error', resolve).on('close', resolve).resume());
}

/** A session under this id, until it has ended. */
export function register(
  target: Pick<Place, 'address'>,
  credentials: Proof,
  workerId: string,
  welcomed = () => {},
): Promise<ServiceError | null> {
  return call(target, CoordinatorClient, credentials, (client, done) => {
    const session = client.session().on('error', done).on('data', welcomed);
    const value = { workerId, peerAddress: '127.0.0.1:1', host: 'h', pid: 1, version, zone: undefined };
    session.write({ message: { $case: 'register', value: { ...value, attachment: undefined } } });
  });
}

/** A message that is announced, and comes a byte at a time: resolves when the connection is closed. */
export function drip({ address, authority }: Place): Promise<void> {
  const [host, port] = address.split(':');
  const socket = connectSecurely({
    ...{ host: host!, port: Number(port), servername: coordinatorName, ALPNProtocols: ['h2'] },
    ca: authority.certificate,
  });
  socket.on('error', () => {}).resume();
  let timer: NodeJS.Timeout | undefined;
  socket.once('secureConnect', () => {
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0x40, 0, 1, 4, 0, 0, 0, 1]));
    timer = setInterval(() => socket.write(Buffer.from([0])), 100);
  });
  return new Promise((resolve) =>
    socket.on('close', () => {
      clearInterval(timer);
      resolve();
    }),
  );
}

/** Half-open connections, as many as one may hold and some more. */
export function knock(address: string, count: number): void {
  const [host, port] = address.split(':');
  for (let index = 0; index < count; index += 1) {
    const socket = connectPlainly(Number(port), host)
      .on('error', () => {})
      .resume();
    closeLater(() => socket.destroy());
  }
}
