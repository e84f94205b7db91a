import { RondoError } from '../../runtime/errors.js';
import {
  type CertificateFiles,
  type OwnCertificate,
  readCertificateFiles,
} from '../../runtime/grpc/certificate-files.js';
import { authorityHashVariable, tokenVariable } from '../../runtime/grpc/credentials.js';
import { type ProofFlags, readHashes, readToken } from '../../runtime/grpc/proof-flags.js';
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

const tokenFileRemedy =
  'take the file that the coordinator names when it waits for workers; it is gone once the run is over';

export interface JoinFlags extends ProofFlags {
  readonly coordinator: string;
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
  const { tokenFile, insecure = false } = flags;
  const own = readOwnCertificate(flags);
  if (own !== null) return own;
  const hashes = readHashes(flags, inheritedHash);
  const token = readToken(flags, inherited, tokenFileRemedy);
  if (token === null) throw missing(tokenFile);
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
