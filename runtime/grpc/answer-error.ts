import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { grpcStatuses, RondoError, remedyKey } from '../errors.js';

/** HTTP/2 refuses header blocks beyond some 64 KiB, and text grows when it is escaped. */
const maxStatusText = 4096;

/**
 * What a gRPC handler answers with where this was thrown; the caller's `RondoError.from` gives the same code,
 * message and remedy.
 */
export function toGrpc(
  thrown: unknown,
): Pick<ServiceError, 'name' | 'message' | 'code' | 'details' | 'metadata'> {
  const { name, code, message, remedy } = RondoError.from(thrown);
  const metadata = new Metadata();
  const details = shorten(message);
  if (remedy !== undefined) metadata.set(remedyKey, Buffer.from(shorten(remedy)));
  return { name, message: details, code: grpcStatuses[code], details, metadata };
}

/** At most `maxStatusText` characters, and none that gRPC cannot escape (half of a surrogate pair). */
function shorten(text: string): string {
  const whole = text.length <= maxStatusText ? text : `${text.slice(0, maxStatusText - 1)}…`;
  return Buffer.from(whole).toString();
}
