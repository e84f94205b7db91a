import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { RondoError } from '../errors.js';
import { certificateNames, tlsVersions } from './certificate-credentials.js';
import type { ServerTls } from './credentials.js';

/** Whose certificate was shown. */
export interface CertifiedMember {
  readonly name: string;
  /** Of the certificate: hex, in lower case. */
  readonly serial: string;
  readonly expiresAtMs: number;
}

/** Turns connections into secured ones. */
export interface SecureListener {
  secure(socket: Socket): void;
  /** Takes no more. Safe to call twice. */
  close(): void;
}

/**
 * Answers TLS handshakes. Whoever shows a certificate must show one of the run's authority that is valid now;
 * whoever shows none is passed on as null.
 *
 * @param o.onRefused hears of handshakes that failed, once each; the connection is destroyed then.
 */
export function listenSecurely(
  tls: ServerTls,
  o: {
    readonly handshakeMs: number;
    onSecured(socket: TLSSocket, member: CertifiedMember | null): void;
    onRefused(socket: Socket, error: RondoError): void;
  },
): SecureListener {
  const server = createServer({
    ...{ ...tls.context(), ...tlsVersions, ALPNProtocols: ['h2'], handshakeTimeout: o.handshakeMs },
    // Asked for, and judged below: only with this are those without one told from those with a wrong one.
    ...{ requestCert: true, rejectUnauthorized: false },
  });
  server.on('secureConnection', (socket) => {
    // It may break while nobody else listens yet.
    socket.on('error', () => {});
    try {
      o.onSecured(socket, findMember(socket));
    } catch (thrown) {
      socket.destroy();
      o.onRefused(socket, RondoError.from(thrown));
    }
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    socket.destroy();
    // Nothing was refused: it hung up, as a probe does, or was closed for saying nothing.
    if (error.code === 'ECONNRESET') return;
    o.onRefused(socket, new RondoError('unauthenticated', `the TLS handshake failed: ${error.message}`));
  });
  const stopRenewing = tls.onRenewed(() => server.setSecureContext({ ...tls.context(), ...tlsVersions }));
  return {
    secure: (socket) => void server.emit('connection', socket),
    close: stopRenewing,
  };
}

function findMember(socket: TLSSocket): CertifiedMember | null {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return null;
  if (!socket.authorized) {
    // Node gives the code, such as CERT_HAS_EXPIRED.
    throw new RondoError('unauthenticated', `its certificate is refused: ${socket.authorizationError}`);
  }
  // A session that is taken up again is not verified again.
  const expiresAtMs = Date.parse(certificate.validTo);
  if (expiresAtMs <= Date.now()) {
    throw new RondoError('unauthenticated', 'its certificate has expired');
  }
  return { name: nameOf(certificate), serial: certificate.serialNumber.toLowerCase(), expiresAtMs };
}

function nameOf({ subjectAltName }: X509Certificate): string {
  const [name, ...others] = certificateNames(subjectAltName);
  if (name !== undefined && others.length === 0) return name;
  throw new RondoError('unauthenticated', 'its certificate does not name one member of a run');
}
