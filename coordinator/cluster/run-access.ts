import { networkInterfaces } from 'node:os';
import { RondoError } from '../../runtime/errors.js';
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
  removeIdleTokens,
  tokensFolder,
  writeToken,
} from '../run-store/join-tokens.js';
import type { Authority } from './authority.js';

/** How members of a run prove that they are, and what brings others in. */
export interface RunAccess {
  /** The coordinator's own. */
  readonly credentials: RunCredentials;
  /** What workers that this machine starts find in their environment. */
  readonly workerEnvironment: Readonly<Record<string, string>>;
  readonly workerArguments: readonly string[];
  /** Gives certificates, where they are needed: beyond this machine. */
  readonly authority: Authority | null;
  /** The run's token, for a file that only this user reads; null where each worker has a certificate. */
  readonly runToken: string | null;
  /** What is given to the other machines; null where there are no certificates. */
  readonly joining: { readonly token: string; readonly hash: string } | null;
  /** Safe to call twice. */
  close(): void;
}

export interface AccessOptions {
  /** HOST:PORT of the coordinator. */
  readonly listen: string;
  /** HOST:PORT by which others reach it, when that is elsewhere: a tunnel's, say. */
  readonly advertise?: string | null;
  /** The run's token may travel between machines, unencrypted. */
  readonly insecure: boolean;
  readonly runId: string;
  /** Holds the authority and the tokens. */
  readonly folder: string;
  /** The run's, which workers of a coordinator that died may have; a new one unless given. */
  readonly token?: string;
}

/**
 * On loopback the run's token proves enough: it travels nowhere, and encrypting takes as much processor time as
 * the ring itself. Beyond it every member has a certificate of its own.
 */
export async function openAccess(o: AccessOptions): Promise<RunAccess> {
  const places = [o.listen, o.advertise ?? o.listen];
  if (o.insecure || places.every((place) => isLoopback(parseHostPort(place).host))) {
    const { token = createRunToken() } = o;
    return {
      credentials: tokenCredentials(token, o.insecure),
      // Empty: one that this process was started with is of another run.
      workerEnvironment: { [tokenVariable]: token, [authorityHashVariable]: '' },
      workerArguments: o.insecure ? ['--insecure'] : [],
      ...{ authority: null, runToken: token, joining: null },
      close() {},
    };
  }
  const launched = makeToken({ lifetimeMs: Number.MAX_SAFE_INTEGER, uses: null });
  const { openAuthority } = await import('./authority.js');
  const authority = await openAuthority({
    ...{ folder: o.folder, runId: o.runId },
    launched: launched.record,
  });
  await removeIdleTokens(o.folder);
  const { token, record } = makeToken({ lifetimeMs: defaultTokenMs, uses: null });
  await writeToken(tokensFolder(o.folder), { ...record, ofStart: true });
  const { hash, credentials } = authority;
  return {
    ...{ credentials, authority, runToken: null, joining: { token, hash } },
    workerEnvironment: { [tokenVariable]: launched.token, [authorityHashVariable]: hash },
    workerArguments: [],
    close: authority.close,
  };
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
