import { createHash } from 'node:crypto';

const suffix = 'rondo.internal';

/** The coordinator's name in its certificate. Each run has a certificate authority of its own. */
export const coordinatorName = `coordinator.${suffix}`;

/** Ends the names in certificates that an authority of the user's own gives to workers. */
export const externalSuffix = `.workers.${suffix}`;

/** Whether a certificate of such an authority makes its holder a worker, whose id is the whole name. */
export function isExternalName(name: string): boolean {
  return (
    name.endsWith(externalSuffix) &&
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name.slice(0, -externalSuffix.length))
  );
}

/**
 * A worker's name in its certificate: its id where an authority of the user's own gave it, else a DNS name made from
 * the id's digest, for an id may be longer than a label, and tells capital letters apart.
 */
export function workerName(workerId: string): string {
  if (isExternalName(workerId)) return workerId;
  return `w-${createHash('sha256').update(workerId).digest('hex').slice(0, 40)}.${suffix}`;
}
