import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import {
  type ChannelCredentials,
  credentials,
  InterceptingCall,
  type Interceptor,
  type Metadata,
  ServerCredentials,
} from '@grpc/grpc-js';
import { RondoError } from '../errors.js';

/**
 * How a process proves on every call that it belongs to a run, and how it checks its callers. All servers and
 * channels are opened with one of these, so that another kind of proof (a certificate for each worker) takes
 * the token's place here alone.
 */
export interface RunCredentials {
  readonly server: {
    readonly credentials: ServerCredentials;
    /**
     * @throws RondoError unauthenticated unless the call's metadata proves that the caller belongs to the
     * run.
     */
    authenticate(metadata: Metadata): void;
  };
  readonly channel: {
    readonly credentials: ChannelCredentials;
    /** Adds the proof to every call. */
    readonly interceptor: Interceptor;
  };
}

/** Names the environment variable that brings a worker its run's token. */
export const tokenVariable = 'RONDO_TOKEN';

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
 * machine.
 *
 * @param token as from `createRunToken`, of one run.
 * @throws RondoError invalid-argument for what cannot be a token; the message does not repeat it.
 */
export function tokenCredentials(token: string): RunCredentials {
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
  return {
    server: {
      credentials: ServerCredentials.createInsecure(),
      authenticate(metadata) {
        const given = metadata.get(tokenKey);
        if (given.length === 0) throw refusal('carries no token');
        // Digests are of one length, which timingSafeEqual wants, and a wrong token's length shows nowhere.
        if (given.length > 1 || !timingSafeEqual(digest(String(given[0])), expected)) {
          throw refusal('carries a wrong token');
        }
      },
    },
    channel: {
      credentials: credentials.createInsecure(),
      interceptor: (options, nextCall) =>
        new InterceptingCall(nextCall(options), {
          start(metadata, listener, next) {
            metadata.set(tokenKey, token);
            next(metadata, listener);
          },
        }),
    },
  };
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
