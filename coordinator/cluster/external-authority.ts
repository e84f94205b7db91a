import { authorityHash } from '../../runtime/authority-hash.js';
import { RondoError } from '../../runtime/errors.js';
import { certificateCredentials } from '../../runtime/grpc/certificate-credentials.js';
import {
  type CertificateFiles,
  readCertificateFiles,
  watchCertificateFiles,
} from '../../runtime/grpc/certificate-files.js';
import { log } from '../../runtime/log.js';
import { coordinatorName, isExternalName } from '../../runtime/member-name.js';
import type { Authority } from './authority.js';
import type { Connections } from './enrolment-rules.js';

const longestMs = 2 ** 31 - 1;

/**
 * Members whose certificates somebody else gives and renews. Who has one of that authority for a name that ends in
 * `externalSuffix` is the worker of that name; nobody enrols.
 *
 * @throws RondoError as `readCertificateFiles`; failed-precondition when the certificate is not the coordinator's.
 */
export function openExternalAuthority(files: CertificateFiles, lookMs?: number): Authority {
  const own = readCertificateFiles(files);
  if (own.name !== coordinatorName) {
    const text = `${files.cert} names ${own.name}, and the coordinator's must name ${coordinatorName}`;
    throw new RondoError('failed-precondition', text, { remedy: `have it issued for ${coordinatorName}` });
  }
  const credentials = certificateCredentials(own.identity);
  const stopWatching = watchCertificateFiles(files, own, credentials.renew, lookMs);
  /** When the newest certificate that each has shown expires, and what breaks its connections off then. */
  const expiries = new Map<string, { readonly atMs: number; timer: NodeJS.Timeout }>();
  const listeners = new Set<() => void>();
  let connections: Connections | null = null;

  const changed = () => {
    for (const listener of listeners) listener();
  };
  const expire = (name: string) => {
    log('warn', 'certificate expired', { name });
    connections?.disconnect(name);
    changed();
  };
  /** Timers wait 24 days at most. */
  const waitFor = (name: string, atMs: number): NodeJS.Timeout => {
    // Not a moment before: a timer may be early by a fraction of a millisecond.
    const leftMs = atMs + 1 - Date.now();
    const look = () => {
      if (leftMs <= longestMs) return expire(name);
      const known = expiries.get(name);
      if (known !== undefined) known.timer = waitFor(name, atMs);
    };
    return setTimeout(look, Math.min(leftMs, longestMs)).unref();
  };
  const refuse = () =>
    Promise.reject(
      new RondoError(
        'failed-precondition',
        'this run takes certificates of its own authority, and no tokens',
        {
          remedy: 'join with --tls-ca, --tls-cert and --tls-key',
        },
      ),
    );
  return {
    hash: authorityHash(own.identity.authority),
    credentials,
    enrol: refuse,
    renew: async () => ({ certificate: '', lifetimeSeconds: 0 }),
    admit({ name, expiresAtMs }) {
      if (name === coordinatorName) return;
      if (!isExternalName(name)) {
        throw new RondoError('unauthenticated', `its certificate is of ${name}, which is no worker's name`);
      }
      const known = expiries.get(name);
      if (known !== undefined && known.atMs >= expiresAtMs) return;
      clearTimeout(known?.timer);
      const isNew = known === undefined || known.atMs <= Date.now();
      expiries.set(name, { atMs: expiresAtMs, timer: waitFor(name, expiresAtMs) });
      if (isNew) changed();
    },
    workerIds: () => [...expiries].flatMap(([name, { atMs }]) => (atMs > Date.now() ? name : [])),
    onChange(listener) {
      listeners.add(listener);
      credentials.server.tls?.onRenewed(listener);
    },
    guard(open) {
      connections = open;
    },
    close() {
      stopWatching();
      for (const { timer } of expiries.values()) clearTimeout(timer);
    },
  };
}
