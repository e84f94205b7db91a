import { type Metadata, ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import { toGrpc } from './answer-error.js';
import type { ConnectionGuard } from './connection-guard.js';
import type { Remote } from './refusals.js';

/** A call of which nothing but its head was read. */
interface ArrivingCall {
  readonly path: string;
  readonly metadata: Metadata;
  readonly remote: Remote;
}

/**
 * Has every call judged before anything of it is read.
 *
 * @param prove whether a call proves that its connection may stay; throws a RondoError to refuse the call.
 */
export function authentication(
  guard: ConnectionGuard,
  prove: (call: ArrivingCall) => boolean,
): ServerInterceptor {
  return ({ path }, call) =>
    new ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata, proceed) {
            const remote = call.getConnectionInfo();
            try {
              if (prove({ path, metadata, remote })) guard.authenticated(remote);
            } catch (thrown) {
              // Nothing of the call was read yet, and nothing will be.
              return call.sendStatus(toGrpc(thrown));
            }
            proceed(metadata);
          },
        });
      },
    });
}
