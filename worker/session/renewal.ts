import { CoordinatorClient } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { watchCertificateFiles } from '../../runtime/grpc/certificate-files.js';
import { openChannel } from '../../runtime/grpc/channel.js';
import type { CertificateIdentity } from '../../runtime/grpc/credentials.js';
import type { RenewableCredentials } from '../../runtime/grpc/open-credentials.js';
import { log } from '../../runtime/log.js';
import { coordinatorName } from '../../runtime/member-name.js';
import type { CoordinatorSession } from './coordinator-session.js';
import type { JoinProof } from './join-proof.js';

/** Of a certificate's lifetime: when another is asked for, and how long after a failure again. */
const renewAfter = 2 / 3;
const retryAfter = 1 / 30;

/**
 * Has the certificate renewed in time, for as long as the process lives: open connections go on, new ones prove
 * the new one.
 *
 * @param o.session the one that is open now.
 * @param o.onRenewed other threads are told.
 * @returns what ends it.
 */
export function keepRenewed(o: {
  readonly credentials: RenewableCredentials;
  readonly lifetimeMs: number;
  session(): CoordinatorSession | null;
  onRenewed(identity: CertificateIdentity): void;
}): () => void {
  const { credentials, lifetimeMs } = o;
  let timer: NodeJS.Timeout;
  const renew = async () => {
    const session = o.session();
    const { identity } = credentials;
    if (session === null || identity.kind !== 'certificate') return false;
    const { createRequest } = await import('../../runtime/certificates.js');
    const { key, request } = await createRequest();
    const { certificate } = await session.renew(request);
    const renewed = { ...identity, certificate, key };
    credentials.renew(renewed);
    o.onRenewed(renewed);
    log('info', 'certificate renewed');
    return true;
  };
  const plan = (share: number) => {
    timer = setTimeout(async () => {
      const done = await renew().catch((error: unknown) => {
        log('warn', 'certificate not renewed', { reason: RondoError.from(error).message });
        return false;
      });
      plan(done ? renewAfter : retryAfter);
    }, share * lifetimeMs);
    timer.unref();
  };
  plan(renewAfter);
  return () => clearTimeout(timer);
}

/**
 * Takes up what somebody else renews, and shows it to the coordinator, which else would break the session off when the
 * certificate that began it expires.
 *
 * @returns what ends it.
 */
export function keepRead(o: {
  readonly coordinator: string;
  readonly proof: Extract<JoinProof, { kind: 'own-certificate' }>;
  readonly credentials: RenewableCredentials;
  onRenewed(identity: CertificateIdentity): void;
  /** 10 s unless a test says otherwise. */
  readonly lookMs?: number;
}): () => void {
  const { credentials, proof } = o;
  const renew = (identity: CertificateIdentity) => {
    credentials.renew(identity);
    o.onRenewed(identity);
    const client = openChannel(CoordinatorClient, o.coordinator, {
      ...{ credentials, peer: coordinatorName, maxReceiveBytes: 1 << 10 },
    });
    client.renew({ signingRequest: new Uint8Array(0) }, (error) => {
      client.close();
      if (error) log('warn', 'certificate not shown', { reason: RondoError.from(error).message });
    });
  };
  return watchCertificateFiles(proof.files, proof.own, renew, o.lookMs);
}
