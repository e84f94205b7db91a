import { readFileSync } from 'node:fs';
import { authorityHash, authorityHashPattern } from '../authority-hash.js';
import { RondoError } from '../errors.js';

/** What a command line says of a token, and of the authority whose coordinator it is for. */
export interface ProofFlags {
  readonly token?: string;
  readonly tokenFile?: string;
  readonly caHash?: readonly string[];
  readonly caFile?: string;
}

/**
 * The authorities' hashes that --ca-hash and --ca-file name, else the one that was inherited; none where nothing is said.
 *
 * @throws RondoError invalid-argument for what is no hash; for a file, that it cannot be read or holds no certificate.
 */
export function readHashes({ caHash = [], caFile }: ProofFlags, inherited: string | undefined): string[] {
  const given = [...caHash, ...(caFile === undefined ? [] : hashesIn(caFile))];
  const hashes = given.length > 0 ? given : inherited ? [inherited] : [];
  for (const hash of hashes) {
    if (authorityHashPattern.test(hash)) continue;
    throw new RondoError('invalid-argument', `"${hash}" is not the hash of a certificate authority`, {
      remedy: 'give --ca-hash as the coordinator prints it: sha256: and 64 hex digits',
    });
  }
  return hashes;
}

/**
 * The token that --token or --token-file says, else the inherited one; null where there is none.
 *
 * @param remedy for a file that cannot be read.
 * @throws RondoError invalid-argument when both are given; what the file system says of the file.
 */
export function readToken(
  { token, tokenFile }: ProofFlags,
  inherited: string | undefined,
  remedy: string,
): string | null {
  if (token !== undefined && tokenFile !== undefined) {
    throw new RondoError('invalid-argument', '--token and --token-file are both given', {
      remedy: 'leave one out',
    });
  }
  const text = tokenFile === undefined ? (token ?? inherited)?.trim() : readTokenFile(tokenFile, remedy);
  return text || null;
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Of the authorities' certificates (PEM) in a file. */
function hashesIn(file: string): string[] {
  const remedy = "take `ca.crt` of the run's ConfigMap, or identity/authority.pem of the run's folder";
  try {
    const hashes = readFileSync(file, 'utf8')
      .match(pemCertificate)
      ?.map((pem) => authorityHash(pem));
    if (hashes !== undefined) return hashes;
  } catch (cause) {
    const { code, message } = RondoError.from(cause);
    const known = code === 'internal' ? 'invalid-argument' : code;
    throw new RondoError(known, `--ca-file ${file} cannot be read: ${message}`, { remedy, cause });
  }
  throw new RondoError('invalid-argument', `--ca-file ${file} holds no certificate (PEM)`, { remedy });
}

function readTokenFile(file: string, remedy: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    const { code, message } = RondoError.from(cause);
    throw new RondoError(code, `the token cannot be read: ${message}`, { remedy, cause });
  }
}
