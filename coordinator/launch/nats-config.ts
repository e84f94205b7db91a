import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { subjects } from '../../proto/metrics.js';
import type { CertificateIdentity } from '../../runtime/grpc/credentials.js';
import { formatHostPort } from '../../runtime/host-port.js';
import { coordinatorName, workerName } from '../../runtime/member-name.js';
import { inboxPrefix } from '../../runtime/nats-session.js';

/** What a run's own NATS server asks of its clients. */
export type NatsAccess =
  /** A token, on loopback. */
  | { readonly kind: 'token'; readonly token: string }
  /** Certificates of the run's authority: each worker may publish its own metrics, and nothing else. */
  | {
      readonly kind: 'certificates';
      /** To listen on. */
      readonly host: string;
      /** The coordinator's. */
      readonly identity: CertificateIdentity;
      readonly runId: string;
      readonly workerIds: readonly string[];
    };

/**
 * Writes the server's configuration into `folder` and gives its path. What is secret stands in files that only
 * this user reads; on the command line everybody would.
 */
export function writeNatsConfig(folder: string, port: number, access: NatsAccess): string {
  const host = access.kind === 'token' ? '127.0.0.1' : access.host;
  const lines = [
    `listen: ${quote(formatHostPort({ host, port }))}`,
    `jetstream { store_dir: ${quote(folder)} }`,
    ...(access.kind === 'token'
      ? [`authorization { token: ${quote(access.token)} }`]
      : certificateLines(folder, access)),
  ];
  return writeSecret(natsConfigIn(folder), `${lines.join('\n')}\n`);
}

function certificateLines(
  folder: string,
  { identity, runId, workerIds }: Extract<NatsAccess, { kind: 'certificates' }>,
): string[] {
  const file = (name: string, text: string) => quote(writeSecret(join(folder, name), text));
  const users = workerIds.map((workerId) => {
    const name = workerName(workerId);
    const publish = `publish: [${quote(subjects.step(runId, workerId))}]`;
    const subscribe = `subscribe: [${quote(`${inboxPrefix(name)}.>`)}]`;
    return `  { user: ${quote(name)}, permissions { ${publish}, ${subscribe} } }`;
  });
  return [
    'tls {',
    `  cert_file: ${file('nats-certificate.pem', identity.certificate + identity.authority)}`,
    `  key_file: ${file('nats-key.pem', identity.key)}`,
    `  ca_file: ${file('nats-authority.pem', identity.authority)}`,
    '  verify_and_map: true',
    '  min_version: "1.3"',
    '  timeout: 5',
    '}',
    'authorization { users = [',
    `  { user: ${quote(coordinatorName)} }`,
    ...users,
    '] }',
  ];
}

/** Where the configuration of the server stands that stores in `folder`. */
export function natsConfigIn(folder: string): string {
  return join(folder, 'nats-server.conf');
}

function writeSecret(path: string, text: string): string {
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

function quote(text: string): string {
  return JSON.stringify(text);
}
