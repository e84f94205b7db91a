import { readFileSync } from 'node:fs';
import { authorityHash, authorityHashPattern } from '../../runtime/authority-hash.js';
import { RondoError } from '../../runtime/errors.js';
import {
  type CertificateFiles,
  type OwnCertificate,
  readCertificateFiles,
} from '../../runtime/grpc/certificate-files.js';
import { authorityHashVariable, tokenVariable } from '../../runtime/grpc/credentials.js';
import { isLoopback, parseHostPort } from '../../runtime/host-port.js';
import { externalSuffix, isExternalName } from '../../runtime/member-name.js';

/** What a worker is given to join with. */
export type JoinProof =
  /** The run's token, which every call carries. */
  | { readonly kind: 'run-token'; readonly token: string; readonly insecure: boolean }
  /** A token that buys a certificate from the authority that one of `hashes` names. */
  | { readonly kind: 'certificate'; readonly token: string; readonly hashes: readonly string[] }
  /** A certificate that somebody else gives and renews. */
  | { readonly kind: 'own-certificate'; readonly files: CertificateFiles; readonly own: OwnCertificate };

export interface JoinFlags {
  readonly coordinator: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly caHash?: readonly string[];
  readonly caFile?: string;
  readonly insecure?: boolean;
  readonly tlsCa?: string | undefined;
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
}

/**
 * What the flags say, else the environment, where it is not left for processes that this one starts.
 *
 * @throws RondoError unauthenticated when there is no token; permission-denied for one that would travel to
 *   another machine unencrypted; invalid-argument for flags that do not go together; what the file system says
 *   when the token's file cannot be read.
 */
export function readJoinProof(flags: JoinFlags, environment: NodeJS.ProcessEnv): JoinProof {
  const { [tokenVariable]: inherited, [authorityHashVariable]: inheritedHash } = environment;
  delete environment[tokenVariable];
  delete environment[authorityHashVariable];
  const { tokenFile, caFile, insecure = false } = flags;
  const own = readOwnCertificate(flags);
  if (own !== null) return own;
  const given = [...(flags.caHash ?? []), ...(caFile === undefined ? [] : hashesIn(caFile))];
  const hashes = given.length > 0 ? given : inheritedHash ? [inheritedHash] : [];
  for (const hash of hashes) {
    if (authorityHashPattern.test(hash)) continue;
    throw new RondoError('invalid-argument', `"${hash}" is not the hash of a certificate authority`, {
      remedy: 'give --ca-hash as the coordinator prints it: sha256: and 64 hex digits',
    });
  }
  if (flags.token !== undefined && tokenFile !== undefined) {
    throw new RondoError('invalid-argument', '--token and --token-file are both given', {
      remedy: 'leave one out',
    });
  }
  const token = tokenFile === undefined ? (flags.token ?? inherited)?.trim() : readTokenFile(tokenFile);
  if (token === undefined || token === '') throw missing(tokenFile);
  if (hashes.length > 0) {
    if (insecure) {
      throw new RondoError(
        'invalid-argument',
        '--insecure and the hash or the file of an authority do not go together',
        {
          remedy: 'leave --insecure out: with --ca-hash or --ca-file all connections are encrypted',
        },
      );
    }
    return { kind: 'certificate', token, hashes };
  }
  if (!insecure) requireOnMachine(flags.coordinator);
  if (flags.token !== undefined) {
    throw new RondoError('invalid-argument', '--token is given without --ca-hash', {
      remedy:
        'paste the whole line that the coordinator prints; the token of a run on this machine goes by --token-file',
    });
  }
  return { kind: 'run-token', token, insecure };
}

function readOwnCertificate(flags: JoinFlags): JoinProof | null {
  const { tlsCa: ca, tlsCert: cert, tlsKey: key, token, tokenFile, caHash, caFile, insecure } = flags;
  if (ca === undefined && cert === undefined && key === undefined) return null;
  if (ca === undefined || cert === undefined || key === undefined) {
    throw new RondoError('invalid-argument', '--tls-ca, --tls-cert and --tls-key go together', {
      remedy: 'give all three, or none',
    });
  }
  if ([token, tokenFile, caHash, caFile, insecure].some((other) => other !== undefined)) {
    throw new RondoError(
      'invalid-argument',
      '--tls-cert goes with no token, no --ca-hash and no --insecure',
      {
        remedy: 'leave these out: the certificate proves enough',
      },
    );
  }
  const files = { ca, cert, key };
  const own = readCertificateFiles(files);
  if (isExternalName(own.name)) return { kind: 'own-certificate', files, own };
  const text = `${cert} names ${own.name}, and a worker's must name NAME${externalSuffix}`;
  throw new RondoError('failed-precondition', text, {
    remedy: 'have it issued for such a name, one for each worker',
  });
}

function requireOnMachine(coordinator: string): void {
  if (isLoopback(parseHostPort(coordinator).host)) return;
  throw new RondoError(
    'permission-denied',
    `the token would travel to ${coordinator} unencrypted, to whoever answers there`,
    {
      remedy:
        'give --ca-hash sha256:… too: paste the whole line that the coordinator prints; or --ca-file FILE',
    },
  );
}

function missing(file: string | undefined): RondoError {
  const where = file === undefined ? 'no token was given' : `${file} is empty`;
  return new RondoError(
    'unauthenticated',
    `${where}: a worker proves by a token of its run that it belongs to the run`,
    {
      remedy: `give --token-file FILE, or --token and --ca-hash, as the coordinator prints it when it waits for workers, or put the token in ${tokenVariable}`,
    },
  );
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

function readTokenFile(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    const { code, message } = RondoError.from(cause);
    throw new RondoError(code, `the token cannot be read: ${message}`, {
      remedy:
        'take the file that the coordinator names when it waits for workers; it is gone once the run is over',
      cause,
    });
  }
}
