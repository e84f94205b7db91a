import { createHash, X509Certificate } from 'node:crypto';

/** What `authorityHash` gives. */
export const authorityHashPattern = /^sha256:[0-9a-f]{64}$/;

/** What people pin a certificate authority by: `sha256:` and the digest, in hex, of its public key (SPKI, DER). */
export function authorityHash(certificate: string | Buffer): string {
  const spki = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(spki).digest('hex')}`;
}
