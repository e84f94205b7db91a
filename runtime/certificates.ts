import 'reflect-metadata';
import { randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  X509Certificate as IssuedCertificate,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { RondoError } from './errors.js';

// Loading the library takes a third of a second: import this file where certificates are made, not before.

/** A certificate with its private key, both as PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signing = { name: 'ECDSA', hash: 'SHA-256' } as const;
/** Clocks of machines differ. */
const toleranceMs = 60 * 60 * 1000;
const authorityMs = 10 * 365 * 24 * 60 * 60 * 1000;
/** A request for one P-256 key is some 200 bytes. */
const maxRequestBytes = 4096;

/** A new certificate authority, for one run: nothing that it has not signed is trusted there. */
export async function createAuthority(name: string): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const now = Date.now();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ CN: [name] }],
    notBefore: new Date(now - toleranceMs),
    notAfter: new Date(now + authorityMs),
    signingAlgorithm: signing,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pemOf(certificate), key: await exportKey(keys.privateKey) };
}

/** A new key, and the request (PKCS #10, DER) that proves to hold it. The key does not leave this process. */
export async function createRequest(): Promise<{ readonly key: string; readonly request: Uint8Array }> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const request = await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: signing });
  return { key: await exportKey(keys.privateKey), request: new Uint8Array(request.rawData) };
}

/**
 * Signs a certificate for the key of `request`: `name` (DNS), `subject` (for people), and what the certificate may
 * be used for are the authority's to say.
 *
 * @throws RondoError invalid-argument for what is no request, asks for more than a key's certificate, is signed by
 *   another key than its own, or is not of a P-256 key.
 */
export async function issueCertificate(
  authority: KeyPair,
  request: Uint8Array,
  o: { readonly name: string; readonly subject: string; readonly lifetimeMs: number },
): Promise<{ readonly certificate: string; readonly serial: string; readonly expiresAtMs: number }> {
  const publicKey = await readRequest(request);
  const issuer = new IssuedCertificate(authority.certificate);
  const now = Date.now();
  const serial = newSerial();
  const issued = await X509CertificateGenerator.create({
    serialNumber: serial,
    // A common name holds 64 characters.
    subject: [{ CN: [o.subject.slice(0, 64)] }],
    issuer: issuer.subject,
    notBefore: new Date(now - toleranceMs),
    notAfter: new Date(now + o.lifetimeMs),
    signingAlgorithm: signing,
    publicKey,
    signingKey: await importKey(authority.key),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension([{ type: 'dns', value: o.name }]),
    ],
  });
  // Dates in certificates are whole seconds.
  const certificate = pemOf(issued);
  const expiresAtMs = Date.parse(new X509Certificate(certificate).validTo);
  return { certificate, serial, expiresAtMs };
}

/** A certificate for a key of this process's own. */
export async function issuePair(
  authority: KeyPair,
  o: Parameters<typeof issueCertificate>[2],
): Promise<KeyPair & { readonly expiresAtMs: number }> {
  const { key, request } = await createRequest();
  return { key, ...(await issueCertificate(authority, request, o)) };
}

async function readRequest(bytes: Uint8Array): Promise<webcrypto.CryptoKey> {
  const refuse = (why: string, cause?: unknown) =>
    new RondoError('invalid-argument', `the signing request ${why}`, {
      remedy: 'coordinator and workers must be of the same version of Rondo',
      cause,
    });
  if (bytes.length > maxRequestBytes) throw refuse(`has ${bytes.length} bytes, more than ${maxRequestBytes}`);
  let request: Pkcs10CertificateRequest;
  try {
    request = new Pkcs10CertificateRequest(Uint8Array.from(bytes).buffer);
  } catch (cause) {
    throw refuse('cannot be read', cause);
  }
  if (request.subject !== '' || request.attributes.length > 0) {
    throw refuse('asks for a name or for extensions, which are the authority’s to give');
  }
  let key: webcrypto.CryptoKey;
  try {
    key = (await request.publicKey.export(algorithm, ['verify'])) as webcrypto.CryptoKey;
  } catch (cause) {
    throw refuse('is not of a P-256 key', cause);
  }
  const proven = await request.verify().catch(() => false);
  if (!proven) throw refuse('is not signed by its own key');
  return key;
}

/** With a line feed at its end, so that others can follow. */
function pemOf(certificate: IssuedCertificate): string {
  return `${certificate.toString('pem')}\n`;
}

/** 127 random bits, in hex. */
function newSerial(): string {
  const bytes = randomBytes(16);
  // Positive, and of full length.
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(pem), algorithm, false, ['sign']);
}
