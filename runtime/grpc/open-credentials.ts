import { certificateCredentials } from './certificate-credentials.js';
import {
  type CertificateIdentity,
  type Identity,
  type RunCredentials,
  tokenCredentials,
} from './credentials.js';

/** Credentials of either kind. */
export interface RenewableCredentials extends RunCredentials {
  /** From now on new connections prove the new certificate; only where there was one before. */
  renew(identity: CertificateIdentity): void;
}

/** What a thread, or a process, opens its connections with. @throws RondoError as `tokenCredentials`. */
export function openCredentials(identity: Identity): RenewableCredentials {
  if (identity.kind === 'certificate') return certificateCredentials(identity);
  return { ...tokenCredentials(identity.token, identity.insecure), renew() {} };
}
