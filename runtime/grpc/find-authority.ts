import { X509Certificate } from 'node:crypto';
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { authorityHash } from '../authority-hash.js';
import { RondoError } from '../errors.js';
import { parseHostPort } from '../host-port.js';
import { coordinatorName } from '../member-name.js';
import { tlsVersions } from './certificate-credentials.js';

const handshakeMs = 5_000;

/**
 * The authority's certificate (PEM), as the coordinator shows it. That it is the one that people named is proved
 * by the hash of its key; that the coordinator has a certificate of it is proved by the next connection, which
 * trusts nothing else.
 *
 * @returns also the address by which this machine reaches the coordinator.
 * @throws RondoError unauthenticated when none of `hashes` names it; unavailable when nobody answers, or not by TLS.
 */
export async function findAuthority(
  coordinator: string,
  hashes: readonly string[],
): Promise<{ authority: string; localHost: string }> {
  const socket = await shakeHands(coordinator);
  try {
    const shown = chainOf(socket);
    const found = shown.find(({ raw }) => hashes.includes(authorityHash(raw)));
    if (found === undefined) {
      const theirs = shown.at(-1);
      throw new RondoError(
        'unauthenticated',
        `who answers at ${coordinator} is not the coordinator that --ca-hash names` +
          (theirs === undefined ? '' : `: its authority is ${authorityHash(theirs.raw)}`),
        {
          remedy:
            'paste the line that the coordinator printed when it was started last; the token was not sent',
        },
      );
    }
    return { authority: new X509Certificate(found.raw).toString(), localHost: hostOf(socket.localAddress) };
  } finally {
    // Not cut off: the handshake may not have reached the other end yet.
    socket.end();
  }
}

function shakeHands(coordinator: string): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...{
        ...parseHostPort(coordinator),
        ...tlsVersions,
        servername: coordinatorName,
        ALPNProtocols: ['h2'],
      },
      // Nothing is trusted yet: the certificates are looked at, and nothing is sent.
      rejectUnauthorized: false,
      timeout: handshakeMs,
    });
    const fail = (why: string, cause?: unknown) => {
      socket.destroy();
      reject(new RondoError('unavailable', `no coordinator answers at ${coordinator}: ${why}`, { cause }));
    };
    socket.once('secureConnect', () => resolve(socket));
    socket.once('timeout', () => fail('it is silent'));
    socket.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message, error));
    socket.once('close', () => fail('it hung up'));
  });
}

/** From the coordinator's own certificate up to its authority's. */
function chainOf(socket: TLSSocket): DetailedPeerCertificate[] {
  const chain: DetailedPeerCertificate[] = [];
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && !chain.some(({ raw }) => raw.equals(next!.raw))) {
    chain.push(next);
    next = next.issuerCertificate;
  }
  return chain;
}

/** Of a socket that takes IPv4 and IPv6, an IPv4 address comes as ::ffff:10.0.0.1. */
export function hostOf(address: string | undefined): string {
  return (address ?? '127.0.0.1').replace(/^::ffff:/, '');
}
