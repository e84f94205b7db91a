import { createSecureContext, type PeerCertificate, type SecureContext } from 'node:tls';
import { credentials } from '@grpc/grpc-js';
import { RondoError } from '../errors.js';
import type { CertificateIdentity, ChannelProof, RunCredentials } from './credentials.js';

/**
 * TLS 1.3 alone: what speaks to a run is of this version of Rondo. The shorter of AES's keys, which Node prefers to be
 * the longer: gradients cost an eighth less processor time so (bench/LOG.md).
 */
export const tlsVersions = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
} as const;

/** Credentials whose certificate can be renewed while connections are open. */
export interface CertificateCredentials extends RunCredentials {
  readonly identity: CertificateIdentity;
  /** From now on new connections, in both directions, prove the new certificate; open ones go on. */
  renew(identity: CertificateIdentity): void;
}

/** Both ends of every connection prove by a certificate of the run's authority who they are. */
export function certificateCredentials(first: CertificateIdentity): CertificateCredentials {
  let identity = first;
  let context: SecureContext | null = null;
  const listeners = new Set<() => void>();
  return {
    get identity() {
      return identity;
    },
    server: {
      tls: {
        context: () => ({
          ca: identity.authority,
          // The authority's too: those that know but its hash find it there.
          cert: identity.certificate + identity.authority,
          key: identity.key,
        }),
        onRenewed(listener) {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
      },
      anyNetwork: true,
      // The connection has proved it.
      authenticate() {},
    },
    channel(peer) {
      const { authority: ca, certificate: cert, key } = identity;
      context ??= createSecureContext({ ca, cert, key, ...tlsVersions });
      return proofOf(context, peer);
    },
    renew(next) {
      identity = next;
      context = null;
      for (const listener of listeners) listener();
    },
  };
}

/**
 * For the one connection that a worker makes before it has a certificate: the other end must prove to be
 * `authority`'s, this end proves nothing.
 */
export function anonymousProof(authority: string, peer: string): ChannelProof {
  return proofOf(createSecureContext({ ca: authority, ...tlsVersions }), peer);
}

function proofOf(context: SecureContext, peer: string): ChannelProof {
  // Node's own check takes wildcards, and the common name where there is no other.
  const checkServerIdentity = (_host: string, certificate: PeerCertificate) => checkName(certificate, peer);
  return {
    credentials: credentials.createFromSecureContext(context, { checkServerIdentity }),
    interceptors: [],
    tls: { secureContext: context, servername: peer, checkServerIdentity },
    serverName: peer,
  };
}

function checkName(certificate: PeerCertificate, peer: string): Error | undefined {
  const names = certificateNames(certificate.subjectaltname);
  if (names.includes(peer)) return undefined;
  return new RondoError(
    'unauthenticated',
    `the certificate is of ${names.join(', ') || 'nobody'}, not of ${peer}`,
  );
}

/** The DNS names among a certificate's alternative names. Node quotes what could be mistaken for several. */
export function certificateNames(alternativeNames: string | undefined): string[] {
  return (alternativeNames ?? '')
    .split(', ')
    .filter((name) => name.startsWith('DNS:') && !name.includes('"'))
    .map((name) => name.slice('DNS:'.length));
}
