import { RondoError } from '../../runtime/errors.js';
import { workerName } from '../../runtime/member-name.js';
import { isWorkerId } from '../membership/registration.js';
import { findToken, type JoinToken, type TokenRole } from '../run-store/join-tokens.js';

/** Of the workers that the coordinator starts: their ids are theirs alone, and so is their token. */
const launchedId = /^worker-\d+$/;

/** The connections that it speaks of. */
export interface Connections {
  isConnected(name: string): boolean;
  disconnect(name: string): void;
}

/** What is said of a token that is another role's, and how to get one, by the role that is asked for. */
const words: Readonly<Record<TokenRole, { readonly other: string; readonly remedy: string }>> = {
  worker: {
    other: 'is for an operator, and nobody joins with it',
    remedy: '`coordinator token create RUN`, where the coordinator runs, makes another one',
  },
  operator: {
    other: 'is for workers to join with, and asks nothing',
    remedy: '`coordinator token create RUN --for operator`, where the coordinator runs, makes one',
  },
};

/**
 * What a token is worth now.
 *
 * @param used how often each was used, by id.
 * @throws RondoError unauthenticated unless it is one of `role` that counts.
 */
export function requireToken(
  tokens: readonly JoinToken[],
  token: string,
  used: ReadonlyMap<string, number>,
  role: TokenRole = 'worker',
): JoinToken {
  const { other, remedy } = words[role];
  const record = findToken(tokens, token);
  const why =
    record === undefined
      ? 'is not one of this run'
      : record.role !== role
        ? other
        : record.revokedAtMs !== null
          ? 'was revoked'
          : record.expiresAtMs <= Date.now()
            ? 'has expired'
            : record.uses !== null && (used.get(record.id) ?? 0) >= record.uses
              ? 'is used up'
              : null;
  if (record !== undefined && why === null) return record;
  throw new RondoError('unauthenticated', `the token ${why}`, { remedy });
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
