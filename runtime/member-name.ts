import { createHash } from 'node:crypto';

const suffix = 'rondo.internal';

/** The coordinator's name in its certificate. Each run has a certificate authority of its own. */
export const coordinatorName = `coordinator.${suffix}`;

/**
 * A worker's name in its certificate: a DNS name made from its id's digest, for an id may be longer than a
 * label, and tells capital letters apart.
 */
export function workerName(workerId: string): string {
  return `w-${createHash('sha256').update(workerId).digest('hex').slice(0, 40)}.${suffix}`;
}
