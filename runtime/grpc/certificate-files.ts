import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { RondoError } from '../errors.js';
import { log } from '../log.js';
import { certificateNames } from './certificate-credentials.js';
import type { CertificateIdentity } from './credentials.js';

/** Files that somebody else keeps valid, such as cert-manager, as PEM. */
export interface CertificateFiles {
  /** The authority, or several: who has a certificate of theirs, with a name for Rondo, is a member. */
  readonly ca: string;
  /** The process's own certificate, with those between it and the authority. */
  readonly cert: string;
  readonly key: string;
}

export interface OwnCertificate {
  readonly identity: CertificateIdentity;
  /** The one DNS name in it. */
  readonly name: string;
}

/** Mounted secrets are exchanged as links, which is no event of a file. */
const defaultLookMs = 10_000;

/**
 * Reads and checks a certificate with its key.
 *
 * @throws RondoError, naming the file: what the file system says; failed-precondition for what is no certificate or
 *   key, for two that do not belong together, for an expired certificate, and for one that names none or several.
 */
export function readCertificateFiles(files: CertificateFiles): OwnCertificate {
  const [authority, certificate, key] = [files.ca, files.cert, files.key].map(readText) as [
    string,
    string,
    string,
  ];
  const refuse = (why: string, cause?: unknown) =>
    new RondoError('failed-precondition', why, {
      remedy: 'see docs/operating.md, Certificates of your own, for what the files must hold',
      cause,
    });
  const parse = <T>(file: string, what: string, read: () => T): T => {
    try {
      return read();
    } catch (cause) {
      throw refuse(`${file} holds no ${what} in PEM`, cause);
    }
  };
  parse(files.ca, 'certificate', () => new X509Certificate(authority));
  const own = parse(files.cert, 'certificate', () => new X509Certificate(certificate));
  const privateKey = parse(files.key, 'private key', () => createPrivateKey(key));
  if (!own.checkPrivateKey(privateKey)) throw refuse(`${files.key} is not the key of ${files.cert}`);
  if (Date.parse(own.validTo) <= Date.now()) throw refuse(`${files.cert} has expired: ${own.validTo}`);
  const [name, ...others] = certificateNames(own.subjectAltName);
  if (name === undefined || others.length > 0) {
    throw refuse(`${files.cert} must have one DNS name, and has ${others.length + (name ? 1 : 0)}`);
  }
  const identity = {
    kind: 'certificate',
    authority: closed(authority),
    certificate: closed(certificate),
    key,
  } as const;
  return { identity, name };
}

/**
 * Calls `onRenewed` when the files hold another certificate of the same name. While they cannot be used, because
 * they are being written, say, the last one stays, and the log says why.
 *
 * @returns what ends it.
 */
export function watchCertificateFiles(
  files: CertificateFiles,
  first: OwnCertificate,
  onRenewed: (identity: CertificateIdentity) => void,
  lookMs = defaultLookMs,
): () => void {
  let last = first.identity;
  const look = () => {
    try {
      const { identity, name } = readCertificateFiles(files);
      const isSame = (['authority', 'certificate', 'key'] as const).every(
        (part) => identity[part] === last[part],
      );
      if (isSame) return;
      if (name !== first.name) {
        throw new RondoError(
          'failed-precondition',
          `${files.cert} names ${name}, and no longer ${first.name}`,
        );
      }
      last = identity;
      onRenewed(identity);
      log('info', 'certificate renewed', { file: files.cert });
    } catch (error) {
      log('warn', 'certificate not renewed', { reason: RondoError.from(error).message });
    }
  };
  const timer = setInterval(look, lookMs).unref();
  return () => clearInterval(timer);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code, message } = RondoError.from(cause);
    throw new RondoError(code, `the certificate files cannot be read: ${message}`, { cause });
  }
}

/** With a line feed at its end, so that others can follow. */
function closed(pem: string): string {
  return pem.endsWith('\n') ? pem : `${pem}\n`;
}
