import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { RondoError } from '../../runtime/errors.js';
import type { CertificateFiles } from '../../runtime/grpc/certificate-files.js';
import {
  authorityHashVariable,
  createRunToken,
  type RunCredentials,
  tokenCredentials,
  tokenVariable,
} from '../../runtime/grpc/credentials.js';
import { advertisedAddress, isLoopback, isWildcard, parseHostPort } from '../../runtime/host-port.js';
import {
  defaultTokenMs,
  makeToken,
  readTokens,
  recordToken,
  removeIdleTokens,
  tokensFolder,
  writeToken,
} from '../run-store/join-tokens.js';
import type { Authority, ReviewToken } from './authority.js';
import { type Operators, openOperators } from './operators.js';

/** How members of a run prove that they are, and what brings others in. */
export interface RunAccess {
  /** The coordinator's own. */
  readonly credentials: RunCredentials;
  /** What workers that this machine starts find in their environment. */
  readonly workerEnvironment: Readonly<Record<string, string>>;
  readonly workerArguments: readonly string[];
  /** Gives certificates, where they are needed: beyond this machine. */
  readonly authority: Authority | null;
  /** Those who ask the run from other machines, where it has an authority. */
  readonly operators: Operators | null;
  /** The run's token, for a file that only this user reads; null where each worker has a certificate. */
  readonly runToken: string | null;
  /** What is given to the other machines; null where there are no certificates. */
  readonly joining: Joining | null;
  /** Safe to call twice. */
  close(): void;
}

/** What workers on other machines join with. */
export interface Joining {
  /** Null where they have it from elsewhere. */
  readonly token: string | null;
  /** Of the run's authority. */
  readonly hash: string;
}

export interface AccessOptions {
  /** HOST:PORT of the coordinator. */
  readonly listen: string;
  /** HOST:PORT by which others reach it, when that is elsewhere: a tunnel's, say. */
  readonly advertise?: string | null;
  /** The run's token may travel between machines, unencrypted. */
  readonly insecure: boolean;
  readonly runId: string;
  /** The coordinator's certificate of an authority of the user's own; the run makes one unless given. */
  readonly tls?: CertificateFiles | null;
  /** Holds the authority and the tokens. */
  readonly folder: string;
  /** The run's, which workers of a coordinator that died may have; a new one unless given. */
  readonly token?: string;
  /** Holds the token that others join with; one is made unless given. */
  readonly joinTokenFile?: string | null;
  /** Takes tokens of another kind, in place of Rondo's own. */
  readonly review?: ReviewToken;
}

/**
 * On loopback the run's token proves enough: it travels nowhere, and encrypting takes as much processor time as
 * the ring itself. Beyond it every member has a certificate of its own.
 *
 * @throws RondoError invalid-argument for a file that holds no token, or where none is needed; what the file system
 *   says when it cannot be read.
 */
export async function openAccess(o: AccessOptions): Promise<RunAccess> {
  if (o.tls) {
    const { openExternalAuthority } = await import('./external-authority.js');
    const authority = openExternalAuthority(o.tls);
    return {
      ...{ credentials: authority.credentials, authority, runToken: null, joining: null },
      operators: openOperators(tokensFolder(o.folder)),
      ...{ workerEnvironment: {}, workerArguments: [], close: authority.close },
    };
  }
  if (o.insecure || isLocal(o)) {
    const { token = createRunToken(), joinTokenFile = null } = o;
    if (joinTokenFile !== null) {
      throw new RondoError('invalid-argument', '--join-token-file is given where nobody joins with a token', {
        remedy: 'leave it out, or give --listen HOST:PORT of an address that other machines reach',
      });
    }
    return {
      credentials: tokenCredentials(token, o.insecure),
      // Empty: one that this process was started with is of another run.
      workerEnvironment: { [tokenVariable]: token, [authorityHashVariable]: '' },
      workerArguments: o.insecure ? ['--insecure'] : [],
      ...{ authority: null, operators: null, runToken: token, joining: null },
      close() {},
    };
  }
  const launched = makeToken({ lifetimeMs: Number.MAX_SAFE_INTEGER, uses: null });
  const { openAuthority } = await import('./authority.js');
  const authority = await openAuthority({
    ...{ folder: o.folder, runId: o.runId },
    launched: launched.record,
    ...(o.review === undefined ? {} : { review: o.review }),
  });
  await removeIdleTokens(o.folder);
  const token =
    o.review === undefined ? await openJoinToken(tokensFolder(o.folder), o.joinTokenFile ?? null) : null;
  const { hash, credentials } = authority;
  return {
    ...{ credentials, authority, runToken: null, joining: { token, hash } },
    operators: openOperators(tokensFolder(o.folder)),
    workerEnvironment: { [tokenVariable]: launched.token, [authorityHashVariable]: hash },
    workerArguments: [],
    close: authority.close,
  };
}

/** Whether only this machine reaches the coordinator. */
export function isLocal({ listen, advertise }: Pick<AccessOptions, 'listen' | 'advertise'>): boolean {
  return [listen, advertise ?? listen].every((place) => isLoopback(parseHostPort(place).host));
}

/** Makes sure of a token that is good now; null for one that workers have from where this has it. */
async function openJoinToken(folder: string, file: string | null): Promise<string | null> {
  if (file === null) {
    const { token, record } = makeToken({ lifetimeMs: defaultTokenMs, uses: null });
    await writeToken(folder, { ...record, ofStart: true });
    return token;
  }
  const given = recordToken(readTokenFile(file));
  // One that was revoked stays so, though the file still holds it.
  const isKnown = readTokens(folder).some(
    ({ id, secretDigest }) => id === given.id && secretDigest === given.secretDigest,
  );
  if (!isKnown) await writeToken(folder, given);
  return null;
}

function readTokenFile(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    const { code, message } = RondoError.from(cause);
    throw new RondoError(code, `--join-token-file cannot be read: ${message}`, { cause });
  }
}

/**
 * The address that others reach the coordinator by: what was given, else what it listens on, else this machine's
 * first one beyond loopback.
 *
 * @throws RondoError failed-precondition when this machine has none.
 */
export function reachableAddress(bound: string, advertise: string | null): string {
  if (advertise !== null) return advertise;
  if (!isWildcard(parseHostPort(bound).host)) return bound;
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const found = addresses.find(({ internal, family }) => !internal && family === 'IPv4');
  if (found !== undefined) return advertisedAddress(bound, found.address);
  throw new RondoError('failed-precondition', 'this machine has no address beyond loopback', {
    remedy: 'say by --advertise HOST:PORT how other machines reach the coordinator',
  });
}
