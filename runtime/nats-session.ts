import { type ConnectionOptions, connect, type NatsConnection } from 'nats';
import { sleep } from './deadline.js';
import { RondoError } from './errors.js';
import { tlsVersions } from './grpc/certificate-credentials.js';
import type { CertificateIdentity, RunCredentials } from './grpc/credentials.js';
import { coordinatorName } from './member-name.js';

export interface NatsSession {
  /** Ends the work and the connection. May be called twice. */
  close(): Promise<void>;
}

/** What a member of a run shows to the run's own server, instead of a login. */
export interface NatsMember {
  /** In its certificate. */
  readonly name: string;
  /** As it is now. */
  identity(): CertificateIdentity;
}

/** Between losing a connection, or failing to make one, and the next attempt. */
const retryMs = 250;
const connectTimeoutMs = 2000;
/** A server is taken for dead when two of these pass unanswered. */
const pingIntervalMs = 5000;

/**
 * Keeps a connection to a NATS server for as long as it is open: runs `work` on every new connection, and
 * makes a new one, for ever, when the connection ends or the work throws. The client's own reconnecting is
 * off: it buffers what is published meanwhile without bound.
 *
 * @param o.url may hold the token, or user and password; `o.token` counts when it does not.
 * @param o.member counts instead of a login.
 * @param o.work its signal aborts when the connection has ended; it is to return then, and is not waited for.
 * @param o.onTrouble hears why there is no connection, or why the work ended.
 */
export function openNatsSession(o: {
  url: string;
  token: string;
  name: string;
  member?: NatsMember | undefined;
  work(connection: NatsConnection, signal: AbortSignal): Promise<void>;
  onTrouble?(error: RondoError): void;
}): NatsSession {
  const { address, login } = splitNatsUrl(o.url, o.token);
  const closing = new AbortController();
  let current: NatsConnection | null = null;

  async function connectAndWork(): Promise<void> {
    const connection = await connect({
      servers: address,
      ...(o.member === undefined ? login : certified(o.member)),
      name: o.name,
      reconnect: false,
      timeout: connectTimeoutMs,
      pingInterval: pingIntervalMs,
      maxPingOut: 2,
    });
    const ended = new AbortController();
    const closed = connection.closed().then(() => ended.abort());
    current = connection;
    try {
      // The client may try for minutes to make a consumer on a connection that is gone: nobody waits for
      // that.
      if (!closing.signal.aborted) await Promise.race([o.work(connection, ended.signal), closed]);
    } finally {
      current = null;
      await connection.close();
      await closed;
    }
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      await connectAndWork().catch((error: Error) => o.onTrouble?.(unavailable(address, error.message)));
      await sleep(retryMs, closing.signal).catch(() => {});
    }
  }

  const running = run();
  return {
    async close() {
      closing.abort();
      // A connection in the making ends by itself; nobody waits for it.
      if (current === null) return;
      await current.close();
      await running;
    },
  };
}

/** Undefined for credentials without a certificate. */
export function natsMemberOf(credentials: RunCredentials, name: string): NatsMember | undefined {
  if (credentials.identity.kind !== 'certificate') return undefined;
  return { name, identity: () => credentials.identity as CertificateIdentity };
}

/** Where the answers to a member's requests come: it may listen nowhere else. */
export function inboxPrefix(name: string): string {
  return `_INBOX_${name.split('.')[0]}`;
}

function certified({ name, identity }: NatsMember): Pick<ConnectionOptions, 'tls' | 'inboxPrefix'> {
  const { authority: ca, certificate: cert, key } = identity();
  // The client hands all of it to node:tls. The server's certificate is the coordinator's.
  const tls = { ca, cert, key, ...tlsVersions, servername: coordinatorName };
  return { tls, inboxPrefix: inboxPrefix(name) };
}

function unavailable(url: string, why: string): RondoError {
  return new RondoError('unavailable', `no connection to the NATS server at ${url}: ${why}`, {
    remedy: 'Check the address, and that the server runs and takes the token, or user and password.',
  });
}

/** How a client proves to a NATS server that it may connect. */
export type NatsLogin =
  | { readonly token: string }
  | { readonly user: string; readonly pass: string }
  | Record<string, never>;

/**
 * Variable of the environment that brings the token of a server whose URL has none: command lines are read by
 * everybody.
 */
export const natsTokenVariable = 'RONDO_NATS_TOKEN';

/**
 * Takes a NATS URL apart: nats://HOST:PORT, with TOKEN@ or USER:PASSWORD@ before the host as NATS's own tools
 * have it. What stands there wins over `token`; the address that remains may be shown.
 */
export function splitNatsUrl(
  text: string,
  token = '',
): { readonly address: string; readonly login: NatsLogin } {
  const url = new URL(text);
  const [user, pass] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  url.username = '';
  url.password = '';
  return { address: url.href.replace(/\/$/, ''), login: loginOf(user, pass, token) };
}

function loginOf(user: string, pass: string, token: string): NatsLogin {
  if (pass !== '') return { user, pass };
  if (user !== '') return { token: user };
  return token === '' ? {} : { token };
}
