import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { ConnectionOptions } from 'node:tls';
import {
  type ChannelCredentials,
  credentials,
  InterceptingCall,
  type Interceptor,
  type Metadata,
} from '@grpc/grpc-js';
import { RondoError } from '../errors.js';

/** What a process proves with that it belongs to a run. Plain, so that a thread can be given it. */
export type Identity = TokenIdentity | CertificateIdentity;

/** The run's token, which every member of the run has: it says nothing of which one it is. */
export interface TokenIdentity {
  readonly kind: 'token';
  readonly token: string;
  /** It may travel between machines, where it can be read on its way. */
  readonly insecure: boolean;
}

/** A certificate of the run's authority, which names one member. All as PEM. */
export interface CertificateIdentity {
  readonly kind: 'certificate';
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

/**
 * How a process proves that it belongs to a run, and how it checks its callers. All servers and channels are
 * opened with one of these.
 */
export interface RunCredentials {
  /** As it is now: a certificate is renewed. */
  readonly identity: Identity;
  readonly server: {
    /** What servers secure their connections with; null where calls alone prove something. */
    readonly tls: ServerTls | null;
    /** Serves whoever proves it beyond this machine too. */
    readonly anyNetwork: boolean;
    /** @throws RondoError unauthenticated unless the call's metadata prove what the connection has not. */
    authenticate(metadata: Metadata): void;
  };
  /**
   * For the member at the other end.
   *
   * @param peer its name in its certificate; where calls alone prove something it is not looked at.
   */
  channel(peer: string): ChannelProof;
}

export interface ServerTls {
  context(): { readonly ca: string; readonly cert: string; readonly key: string };
  /** Calls `listener` after each renewal, until the function that it returns is called. */
  onRenewed(listener: () => void): () => void;
}

export interface ChannelProof {
  readonly credentials: ChannelCredentials;
  /** Add the proof to every call. */
  readonly interceptors: Interceptor[];
  /** The same for a connection without gRPC; null where calls alone prove something. */
  readonly tls: ConnectionOptions | null;
  /** The name that the other end is asked for, and must prove. */
  readonly serverName: string | null;
}

/** Names the environment variable that brings a worker its run's token. */
export const tokenVariable = 'RONDO_TOKEN';
/** And the hash of its run's certificate authority, where there is one. */
export const authorityHashVariable = 'RONDO_CA_HASH';

const tokenKey = 'rondo-token';
const tokenBytes = 32;
/** What `createRunToken` makes; also what HTTP/2 takes as a header's value. */
const tokenPattern = /^[\w-]{16,256}$/;

/** A new run's token: 256 random bits in base64url. */
export function createRunToken(): string {
  return randomBytes(tokenBytes).toString('base64url');
}

/**
 * Every call carries the run's token. It travels unencrypted: only for connections that do not leave the
 * machine, unless `insecure` says otherwise.
 *
 * @param token as from `createRunToken`, of one run.
 * @throws RondoError invalid-argument for what cannot be a token; the message does not repeat it.
 */
export function tokenCredentials(token: string, insecure = false): RunCredentials {
  if (!tokenPattern.test(token)) {
    throw new RondoError(
      'invalid-argument',
      'the token is not one of a run: 16 to 256 letters, digits, - and _',
      {
        remedy: 'take it as it stands in the file `token` of the run’s folder',
      },
    );
  }
  const expected = digest(token);
  const proof: ChannelProof = {
    credentials: credentials.createInsecure(),
    interceptors: [bearToken(token)],
    tls: null,
    serverName: null,
  };
  return {
    identity: { kind: 'token', token, insecure },
    server: {
      tls: null,
      anyNetwork: insecure,
      authenticate(metadata) {
        const given = metadata.get(tokenKey);
        if (given.length === 0) throw refusal('carries no token');
        // Digests are of one length, which timingSafeEqual wants, and a wrong token's length shows nowhere.
        if (given.length > 1 || !timingSafeEqual(digest(String(given[0])), expected)) {
          throw refusal('carries a wrong token');
        }
      },
    },
    channel: () => proof,
  };
}

/** Adds a token to every call. */
export function bearToken(token: string): Interceptor {
  return (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        metadata.set(tokenKey, token);
        next(metadata, listener);
      },
    });
}

/** The token that a call carries; null for none, or several. */
export function tokenOf(metadata: Metadata): string | null {
  const given = metadata.get(tokenKey);
  return given.length === 1 ? String(given[0]) : null;
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function refusal(what: string): RondoError {
  return new RondoError('unauthenticated', `the call ${what} of this run`, {
    remedy:
      'give the run’s token, which stands in the file `token` of its folder: `worker join --token-file FILE`, or RONDO_TOKEN',
  });
}
