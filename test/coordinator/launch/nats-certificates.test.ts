import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectPlainly } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectSecurely, type SecureVersion } from 'node:tls';
import { connect, type NatsConnection } from 'nats';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type NatsServer, startNatsServer } from '../../../coordinator/launch/nats-server.js';
import { revokeToken } from '../../../coordinator/run-store/join-tokens.js';
import { type Collector, openCollector } from '../../../coordinator/telemetry/collector.js';
import { type Metric, subjects } from '../../../proto/metrics.js';
import type { CertificateIdentity } from '../../../runtime/grpc/credentials.js';
import { coordinatorName, workerName } from '../../../runtime/member-name.js';
import { inboxPrefix } from '../../../runtime/nats-session.js';
import { openPublisher } from '../../../worker/session/metrics-publisher.js';
import { type CertifiedRun, closeCertifiedRuns, openCertifiedRun } from '../../support/certified-run.js';
import { stepMetric } from '../../support/metrics.js';

const runId = 'certified';
let run: CertifiedRun;
let storeDir: string;
let server: NatsServer;
let collector: Collector;
let received: Metric[];
let one: CertificateIdentity;
const open: { close(): Promise<void> }[] = [];
const closing: (() => Promise<void>)[] = [];

const access = () => ({
  ...{ host: '127.0.0.1', runId, workerIds: run.authority.workerIds() },
  identity: run.authority.credentials.identity,
});

/** A run with a server of its own, whose certificates last so long. */
async function openRun(certificateMs = 3_600_000): Promise<void> {
  run = await openCertifiedRun(certificateMs);
  storeDir = mkdtempSync(join(tmpdir(), 'rondo-nats-'));
  server = await startNatsServer({
    ...{ storeDir, signal: new AbortController().signal, certificates: access() },
  });
  run.authority.onChange(() => server.reload(access()));
  received = [];
  collector = await openCollector({
    ...{ url: server.url, token: '', runId, onMetric: (metric) => received.push(metric) },
    member: { name: coordinatorName, identity: () => run.authority.credentials.identity },
  });
  const opened = { collector, server, storeDir };
  closing.push(async () => {
    await opened.collector.close({ settleMs: 0 });
    await opened.server.close();
    rmSync(opened.storeDir, { recursive: true, force: true });
  });
  [one] = [await run.issue('worker-1'), await run.issue('worker-2')];
}

beforeEach(() => openRun());
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
  closeCertifiedRuns();
  await Promise.all(closing.splice(0).map((close) => close()));
});

async function connectAs(identity: CertificateIdentity | null, name = workerName('worker-1')) {
  const tls = {
    ...(identity === null ? {} : { cert: identity.certificate, key: identity.key }),
    ...{ ca: run.authorityPem, servername: coordinatorName },
  };
  const connection: NatsConnection = await connect({
    ...{ servers: server.url, tls, inboxPrefix: inboxPrefix(name), reconnect: false, timeout: 5_000 },
  });
  open.push(connection);
  return connection;
}

/** What the server says of something that it does not allow. */
async function refusalOf(connection: NatsConnection, attempt: () => void): Promise<string> {
  const said = (async () => {
    for await (const { type, data } of connection.status()) if (type === 'error') return String(data);
    return 'nothing';
  })();
  attempt();
  await connection.flush();
  return said;
}

it('brings a worker’s metrics, under its certificate alone', async () => {
  const publisher = openPublisher({
    ...{ url: server.url, token: '', runId, workerId: 'worker-1' },
    member: { name: workerName('worker-1'), identity: () => one },
  });
  publisher.publish(subjects.step(runId, 'worker-1'), 'first', stepMetric(runId, 0));
  await expect.poll(() => received).toHaveLength(1);
  await publisher.close({ timeoutMs: 5_000 });
  expect(publisher.counts()).toEqual({ published: 1, dropped: 0 });
});

it('lets nobody in without a certificate of the run', async () => {
  await expect(connectAs(null)).rejects.toThrow();
  const other = await openCertifiedRun();
  await expect(connectAs(await other.issue('worker-1'))).rejects.toThrow();
  await expect(connect({ servers: server.url.replace('tls:', 'nats:'), reconnect: false })).rejects.toThrow();
});

it('speaks TLS 1.3 alone', async () => {
  const protocolOf = async (maxVersion: SecureVersion) => {
    const plain = connectPlainly(server.port, '127.0.0.1');
    // The server speaks first, in the clear.
    await once(plain, 'data');
    const trust = { ca: run.authorityPem, servername: coordinatorName };
    const socket = connectSecurely({
      ...{ socket: plain, ...trust, cert: one.certificate, key: one.key },
      ...{ minVersion: 'TLSv1.2', maxVersion },
    });
    try {
      await once(socket, 'secureConnect');
      return socket.getProtocol();
    } finally {
      socket.destroy();
    }
  };
  expect(await protocolOf('TLSv1.3')).toBe('TLSv1.3');
  await expect(protocolOf('TLSv1.2')).rejects.toThrow(/protocol version/);
});

it('lets a worker publish its own metrics and nothing else, and hear nobody', async () => {
  const connection = await connectAs(one);
  const forbidden = [
    subjects.step(runId, 'worker-2'),
    subjects.epoch(runId),
    subjects.event(runId),
    subjects.step('another-run', 'worker-1'),
    `$JS.API.STREAM.DELETE.rondo-${runId}`,
    `$JS.API.STREAM.PURGE.rondo-${runId}`,
    '$JS.API.INFO',
    '$SYS.REQ.SERVER.PING',
    `${inboxPrefix(workerName('worker-2'))}.x`,
  ];
  for (const subject of forbidden) {
    expect(await refusalOf(connection, () => connection.publish(subject)), subject).toMatch(
      /PERMISSIONS_VIOLATION/,
    );
  }
  for (const subject of ['>', subjects.all(runId), `${inboxPrefix(workerName('worker-2'))}.>`]) {
    const refusal = await refusalOf(connection, () => void connection.subscribe(subject));
    expect(refusal, subject).toMatch(/PERMISSIONS_VIOLATION/);
  }
  expect(received).toEqual([]);
});

/** Once the server has heard of who has joined. */
const connectSoon = (...member: Parameters<typeof connectAs>) =>
  vi.waitFor(() => connectAs(...member), { timeout: 10_000, interval: 250 });

it('ends a worker’s connection when its token is revoked, and nobody else’s', async () => {
  const token = await run.createToken();
  const name = workerName('guest-1');
  const guest = await run.issue('guest-1', token);
  const connection = await connectSoon(guest, name);
  const other = await connectSoon(one);
  await revokeToken(join(run.folder, 'tokens'), token);
  await connection.closed();
  await expect(connectAs(guest, name)).rejects.toThrow();
  await other.flush();
});

it('ends a worker’s connection when its certificate expires, and takes it back with another', async () => {
  await openRun(3_000);
  const connection = await connectSoon(one);
  await connection.closed();
  await expect(connectAs(one)).rejects.toThrow();
  await connectSoon(await run.issue('worker-1'));
});
