import { z } from 'zod';
import { createAuthority, issuePair } from '../../runtime/certificates.js';
import { type CertificateIdentity, type Identity, tokenCredentials } from '../../runtime/grpc/credentials.js';
import { openCredentials, type RenewableCredentials } from '../../runtime/grpc/open-credentials.js';
import { workerName } from '../../runtime/member-name.js';

/** Of the processes of a bench, which hold nothing that is worth a secret, in network namespaces too. */
export const benchToken = 'the-token-of-every-bench';
export const benchCredentials = tokenCredentials(benchToken, true);

const pem = z.string();

/** Null for the token. */
export const certificateSchema = z
  .object({ kind: z.literal('certificate'), authority: pem, certificate: pem, key: pem })
  .nullable();

/** Certificates of the workers of a bench, by rank, of an authority of their own. */
export async function certify(count: number): Promise<CertificateIdentity[]> {
  const authority = await createAuthority('Rondo bench');
  return Promise.all(
    Array.from({ length: count }, async (_, rank) => {
      const subject = `worker-${rank}`;
      const pair = await issuePair(authority, { name: workerName(subject), subject, lifetimeMs: 86_400_000 });
      return { kind: 'certificate', authority: authority.certificate, ...pair };
    }),
  );
}

/** What a rank proves itself with. */
export function benchCredentialsOf(certificate: CertificateIdentity | null): RenewableCredentials {
  const identity: Identity = certificate ?? benchCredentials.identity;
  return openCredentials(identity);
}

/** By rank: what the neighbours' certificates must say. */
export function benchNames(worldSize: number): string[] {
  return Array.from({ length: worldSize }, (_, rank) => workerName(`worker-${rank}`));
}
