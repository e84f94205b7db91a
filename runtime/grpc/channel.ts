import type { ChannelCredentials, Client, ClientOptions, InterceptingCall, Interceptor } from '@grpc/grpc-js';
import { RondoError } from '../errors.js';
import type { RunCredentials } from './credentials.js';
import { channelOptions } from './options.js';

/** A generated client's constructor. */
export type ClientClass<C extends Client> = new (
  address: string,
  credentials: ChannelCredentials,
  options: ClientOptions,
) => C;

/** A call after `close`, as one between two sessions, can be made again; grpc-js throws an error without a code. */
const refuseWhenClosed: Interceptor = (options, nextCall) => {
  try {
    // Wrapped in another call, each message of the ring would pass through one more.
    return nextCall(options) as InterceptingCall;
  } catch (cause) {
    if (!/shut down/.test(String(cause))) throw cause;
    throw new RondoError('unavailable', 'the connection has been closed', { cause });
  }
};

/**
 * A client of the member of the run at `address` (HOST:PORT). It connects with its first call; close it when
 * done.
 *
 * @param o.peer the member's name in its certificate (runtime/member-name.ts): nobody else is called.
 * @param o.maxReceiveBytes the largest message that it takes.
 */
export function openChannel<C extends Client>(
  Class: ClientClass<C>,
  address: string,
  o: { credentials: Pick<RunCredentials, 'channel'>; peer: string; maxReceiveBytes: number },
): C {
  const { credentials, interceptors, serverName } = o.credentials.channel(o.peer);
  return new Class(address, credentials, {
    ...channelOptions(o.maxReceiveBytes),
    ...(serverName === null ? {} : { 'grpc.ssl_target_name_override': serverName }),
    interceptors: [refuseWhenClosed, ...interceptors],
  });
}
