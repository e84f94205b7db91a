import type { ChannelCredentials, Client, ClientOptions } from '@grpc/grpc-js';
import type { RunCredentials } from './credentials.js';
import { channelOptions } from './options.js';

/** A generated client's constructor. */
export type ClientClass<C extends Client> = new (
  address: string,
  credentials: ChannelCredentials,
  options: ClientOptions,
) => C;

/**
 * A client of the member of the run at `address` (HOST:PORT). It connects with its first call; close it when
 * done.
 *
 * @param o.maxReceiveBytes the largest message that it takes.
 */
export function openChannel<C extends Client>(
  Class: ClientClass<C>,
  address: string,
  o: { credentials: RunCredentials; maxReceiveBytes: number },
): C {
  const { credentials, interceptor } = o.credentials.channel;
  return new Class(address, credentials, {
    ...channelOptions(o.maxReceiveBytes),
    interceptors: [interceptor],
  });
}
