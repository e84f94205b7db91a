import { RondoError } from '../../runtime/errors.js';
import { workerName } from '../../runtime/member-name.js';
import { isWorkerId } from '../membership/registration.js';
import { findToken, type JoinToken } from '../run-store/join-tokens.js';

/** Of the workers that the coordinator starts: their ids are theirs alone, and so is their token. */
const launchedId = /^worker-\d+$/;

/** The connections that it speaks of. */
export interface Connections {
  isConnected(name: string): boolean;
  disconnect(name: string): void;
}

/**
 * What a token is worth now.
 *
 * @param used how often each was used, by id.
 * @throws RondoError unauthenticated unless it buys a certificate.
 */
export function requireToken(
  tokens: readonly JoinToken[],
  token: string,
  used: ReadonlyMap<string, number>,
): JoinToken {
  const record = findToken(tokens, token);
  const why =
    record === undefined
      ? 'is not one of this run'
      : record.revokedAtMs !== null
        ? 'was revoked'
        : record.expiresAtMs <= Date.now()
          ? 'has expired'
          : record.uses !== null && (used.get(record.id) ?? 0) >= record.uses
            ? 'is used up'
            : null;
  if (record !== undefined && why === null) return record;
  throw new RondoError('unauthenticated', `the token ${why}`, {
    remedy: '`coordinator token create RUN`, where the coordinator runs, makes another one',
  });
}

/** @throws RondoError unless a worker that holds the token may have this id. */
export function requireId(
  workerId: string,
  { id }: Pick<JoinToken, 'id'>,
  launched: JoinToken,
  connections: Connections | null,
): void {
  if (!isWorkerId(workerId)) throw new RondoError('invalid-argument', 'that is not a worker id');
  const remedy = 'give --id another name';
  if (launchedId.test(workerId) !== (id === launched.id)) {
    const text = `the id ${workerId} is that of a worker which the coordinator starts`;
    throw new RondoError('permission-denied', text, { remedy });
  }
  if (connections?.isConnected(workerName(workerId))) {
    throw new RondoError('permission-denied', `a worker ${workerId} takes part already`, { remedy });
  }
}
