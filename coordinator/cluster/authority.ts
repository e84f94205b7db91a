import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Certificate, EnrolRequest } from '../../proto/gen/coordinator.js';
import { authorityHash } from '../../runtime/authority-hash.js';
import { createAuthority, issueCertificate, issuePair, type KeyPair } from '../../runtime/certificates.js';
import { writeDurably } from '../../runtime/durable-file.js';
import { RondoError } from '../../runtime/errors.js';
import {
  type CertificateCredentials,
  certificateCredentials,
} from '../../runtime/grpc/certificate-credentials.js';
import type { CertifiedMember } from '../../runtime/grpc/secure-listener.js';
import { log } from '../../runtime/log.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { coordinatorName, workerName } from '../../runtime/member-name.js';
import {
  type IssuedCertificate,
  issuedFile,
  type JoinToken,
  readIssued,
  readTokens,
  tokensFolder,
} from '../run-store/join-tokens.js';
import { openLineFile } from '../run-store/line-file.js';
import { type Connections, requireId, requireToken } from './enrolment-rules.js';

const defaultCertificateMs = 24 * 60 * 60 * 1000;
const watchMs = 1_000;

/**
 * What a token that Rondo did not make is worth: what it is known by from now on; null when it is of Rondo's own.
 *
 * @throws RondoError unauthenticated or permission-denied when it buys no certificate for this worker.
 */
export type ReviewToken = (token: string, workerId: string) => Promise<string | null>;

/** A run's certificate authority: who may join it, and who is who. */
export interface Authority {
  /** For people to pin it by. */
  readonly hash: string;
  /** The coordinator's own, which are renewed. */
  readonly credentials: CertificateCredentials;
  /**
   * A worker's first certificate, for a token.
   *
   * @throws RondoError unauthenticated for a token that is none of this run, that has expired, is used up or
   *   was revoked; permission-denied for another's worker id; invalid-argument for what is no signing request.
   */
  enrol(request: EnrolRequest): Promise<Certificate>;
  /** Another certificate for the member `name`. @throws RondoError as `enrol`. */
  renew(name: string, signingRequest: Uint8Array): Promise<Certificate>;
  /** @throws RondoError unauthenticated for certificates that were revoked, or that it did not issue. */
  admit(member: CertifiedMember): void;
  /** The workers that may connect, by their ids. */
  workerIds(): readonly string[];
  /** Calls `listener` when these change, and when the coordinator's own certificate does. */
  onChange(listener: () => void): void;
  /** From now on connections of members whose certificate is revoked or has expired are broken off. */
  guard(connections: Connections): void;
  /** Safe to call twice. */
  close(): void;
}

/**
 * Opens the authority that `folder` holds, or makes one there. Tokens are read from `folder`/tokens, where
 * another process may add and revoke them.
 *
 * @param o.runId names it, for people.
 * @param o.launched the token of the workers that this machine starts.
 */
export async function openAuthority(o: {
  readonly folder: string;
  readonly runId: string;
  readonly launched: JoinToken;
  readonly review?: ReviewToken;
  /** How long certificates last; a day unless given. */
  readonly certificateMs?: number;
}): Promise<Authority> {
  const { folder, runId, launched, certificateMs = defaultCertificateMs } = o;
  const keys = await openKeys(folder, runId);
  const issued = new Map((await readIssued(folder)).map((each) => [each.serial, each]));
  const lines = openLineFile(issuedFile(folder));
  const used = new Map<string, number>();
  for (const { tokenId, bought } of issued.values()) if (bought) use(tokenId);
  const timers = new Map<string, NodeJS.Timeout>();
  let connections: Connections | null = null;
  const listeners = new Set<() => void>();
  const changed = () => {
    for (const listener of listeners) listener();
  };
  let tokens = readAll();

  function readAll(): JoinToken[] {
    return [launched, ...readTokens(tokensFolder(folder))];
  }
  function use(tokenId: string): void {
    used.set(tokenId, (used.get(tokenId) ?? 0) + 1);
  }
  const isRevoked = ({ tokenId }: IssuedCertificate) =>
    tokens.find(({ id }) => id === tokenId)?.revokedAtMs != null;

  const own = async () => {
    const { certificate, key } = await issuePair(keys, {
      ...{ name: coordinatorName, subject: `coordinator of ${runId}`, lifetimeMs: certificateMs },
    });
    return { kind: 'certificate', authority: keys.certificate, certificate, key } as const;
  };
  const credentials = certificateCredentials(await own());
  const renewal = setInterval(
    () => {
      own().then(credentials.renew, (error: Error) =>
        log('error', 'the coordinator’s certificate was not renewed', { reason: error.message }),
      );
    },
    Math.min((certificateMs * 2) / 3, 2 ** 31 - 1),
  );

  /** When the newest certificate of a worker has expired, it has to go. */
  const watchExpiry = (name: string, expiresAtMs: number) => {
    clearTimeout(timers.get(name));
    const expire = () => {
      log('warn', 'certificate expired', { name });
      connections?.disconnect(name);
      changed();
    };
    // Not a moment before: a timer may be early by a fraction of a millisecond.
    timers.set(name, setTimeout(expire, Math.min(expiresAtMs + 1 - Date.now(), 2 ** 31 - 1)));
  };
  for (const { workerId, expiresAtMs } of issued.values()) watchExpiry(workerName(workerId), expiresAtMs);
  /** Whoever reads them lets go of the workers of those that were revoked meanwhile: the next reader sees no change. */
  const readTokensAnew = () => {
    const before = tokens;
    tokens = readAll();
    const revoked = tokens.filter(
      ({ id, revokedAtMs }) =>
        revokedAtMs !== null && before.find((each) => each.id === id)?.revokedAtMs == null,
    );
    if (revoked.length > 0) changed();
    for (const { id } of revoked) {
      const workers = new Set(
        [...issued.values()].flatMap((each) => (each.tokenId === id ? each.workerId : [])),
      );
      log('warn', 'token revoked', { token: id, workers: [...workers] });
      for (const workerId of workers) connections?.disconnect(workerName(workerId));
    }
  };
  const watchTokens = setInterval(() => {
    try {
      readTokensAnew();
    } catch (error) {
      log('error', 'the tokens cannot be read', { reason: RondoError.from(error).message });
    }
  }, watchMs);
  for (const timer of [renewal, watchTokens]) timer.unref();

  const issue = async (
    signingRequest: Uint8Array,
    entry: Pick<IssuedCertificate, 'workerId' | 'tokenId' | 'bought'>,
  ): Promise<Certificate> => {
    const name = workerName(entry.workerId);
    const { certificate, serial, expiresAtMs } = await issueCertificate(keys, signingRequest, {
      ...{ name, subject: entry.workerId, lifetimeMs: certificateMs },
    });
    const record = { ...entry, serial, expiresAtMs };
    issued.set(serial, record);
    lines.append(record);
    watchExpiry(name, expiresAtMs);
    changed();
    return { certificate, lifetimeSeconds: certificateMs / 1_000 };
  };

  return {
    hash: authorityHash(keys.certificate),
    credentials,
    async enrol({ token, workerId, signingRequest }) {
      const reviewed = (await o.review?.(token, workerId)) ?? null;
      readTokensAnew();
      const record = reviewed === null ? requireToken(tokens, token, used) : { id: reviewed };
      requireId(workerId, record, launched, connections);
      // Counted before anything is waited for: two at once must not share one use.
      use(record.id);
      return issue(signingRequest, { workerId, tokenId: record.id, bought: true });
    },
    async renew(name, signingRequest) {
      const newest = [...issued.values()].findLast(({ workerId }) => workerName(workerId) === name);
      if (newest === undefined || isRevoked(newest)) throw revokedError();
      const { workerId, tokenId } = newest;
      return issue(signingRequest, { workerId, tokenId, bought: false });
    },
    admit({ name, serial }) {
      if (name === coordinatorName) return;
      const record = issued.get(serial);
      if (record === undefined || workerName(record.workerId) !== name) {
        throw new RondoError('unauthenticated', 'its certificate was not issued by this coordinator');
      }
      if (isRevoked(record)) throw revokedError();
    },
    workerIds: () => [
      ...new Set(
        [...issued.values()].flatMap((each) =>
          isRevoked(each) || each.expiresAtMs <= Date.now() ? [] : each.workerId,
        ),
      ),
    ],
    onChange(listener) {
      listeners.add(listener);
      credentials.server.tls?.onRenewed(listener);
    },
    guard(open) {
      connections = open;
    },
    close() {
      clearInterval(renewal);
      clearInterval(watchTokens);
      for (const timer of timers.values()) clearTimeout(timer);
      lines.close();
    },
  };
}

function revokedError(): RondoError {
  return new RondoError('unauthenticated', 'its certificate was revoked', {
    remedy: 'join again with another token',
  });
}

async function openKeys(folder: string, runId: string): Promise<KeyPair> {
  makeFolder(folder, { mode: 0o700 });
  const [certificateFile, keyFile] = [join(folder, 'authority.pem'), join(folder, 'authority-key.pem')];
  if (existsSync(certificateFile) && existsSync(keyFile)) {
    return { certificate: readFileSync(certificateFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  }
  const keys = await createAuthority(`Rondo run ${runId}`);
  rmSync(keyFile, { force: true });
  writeFileSync(keyFile, keys.key, { mode: 0o600, flag: 'wx' });
  await writeDurably(certificateFile, [keys.certificate]);
  return keys;
}
