import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Authority, openAuthority } from '../../coordinator/cluster/authority.js';
import { makeToken, type TokenRole, writeToken } from '../../coordinator/run-store/join-tokens.js';
import { createRequest } from '../../runtime/certificates.js';
import type { CertificateIdentity } from '../../runtime/grpc/credentials.js';
import { openCredentials, type RenewableCredentials } from '../../runtime/grpc/open-credentials.js';
import { enrol } from '../../worker/session/enrol.js';

/** The certificate authority of a run, in a folder of its own. */
export interface CertifiedRun {
  readonly folder: string;
  readonly authority: Authority;
  readonly authorityPem: string;
  /** A token as `coordinator token create` makes it. */
  createToken(o?: { lifetimeMs?: number; uses?: number | null; role?: TokenRole }): Promise<string>;
  /** A certificate for worker `id`, without a connection; bought with `token`, or one that nobody else has. */
  issue(id: string, token?: string): Promise<CertificateIdentity>;
  /** What worker `id` proves itself with, without a connection. */
  credentialsOf(id: string): Promise<RenewableCredentials>;
}

const opened: CertifiedRun[] = [];

export async function openCertifiedRun(certificateMs = 60_000, runId = 'certified'): Promise<CertifiedRun> {
  const folder = mkdtempSync(join(tmpdir(), 'rondo-identity-'));
  const launched = makeToken({ lifetimeMs: 3_600_000, uses: null });
  const authority = await openAuthority({
    ...{ folder, runId, certificateMs },
    launched: launched.record,
  });
  const authorityPem = authority.credentials.identity.authority;
  const createToken: CertifiedRun['createToken'] = async (o = {}) => {
    const { token, record } = makeToken({ lifetimeMs: 3_600_000, uses: null, ...o });
    await writeToken(join(folder, 'tokens'), record);
    return token;
  };
  const issue: CertifiedRun['issue'] = async (workerId, given) => {
    const { key, request } = await createRequest();
    const { certificate } = await authority.enrol({
      ...{ workerId, signingRequest: request },
      token: given ?? (/^worker-\d+$/.test(workerId) ? launched.token : await createToken()),
    });
    return { kind: 'certificate', authority: authorityPem, certificate, key };
  };
  const run: CertifiedRun = {
    ...{ folder, authority, authorityPem, createToken, issue },
    credentialsOf: async (id) => openCredentials(await issue(id)),
  };
  opened.push(run);
  return run;
}

/** For afterEach. */
export function closeCertifiedRuns(): void {
  for (const { authority, folder } of opened.splice(0)) {
    authority.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** As `worker join --token TOKEN --ca-hash HASH` does. */
export function enrolAt(
  address: string,
  token: string,
  hash: string,
  workerId = 'guest-1',
): ReturnType<typeof enrol> {
  const proof = { kind: 'certificate', token, hashes: [hash] } as const;
  return enrol(address, { proof, workerId, timeoutMs: 1_000, signal: new AbortController().signal });
}
