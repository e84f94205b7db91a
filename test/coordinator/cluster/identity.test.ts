import 'reflect-metadata';
import { once } from 'node:events';
import { connect as connectPlainly } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { type ServiceError, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { revokeToken } from '../../../coordinator/run-store/join-tokens.js';
import { Activity, CoordinatorClient, EnrolmentClient } from '../../../proto/gen/coordinator.js';
import { createAuthority, issuePair, type KeyPair } from '../../../runtime/certificates.js';
import { openChannel } from '../../../runtime/grpc/channel.js';
import type { RunCredentials } from '../../../runtime/grpc/credentials.js';
import { openCredentials } from '../../../runtime/grpc/open-credentials.js';
import { coordinatorName, workerName } from '../../../runtime/member-name.js';
import { openSession } from '../../../worker/session/coordinator-session.js';
import { keepRenewed } from '../../../worker/session/renewal.js';
import {
  closeCertifiedClusters,
  closeLater,
  expectToEnd,
  openCertifiedCluster,
} from '../../support/certified-cluster.js';
import { type CertifiedRun, enrolAt, openCertifiedRun } from '../../support/certified-run.js';
import { type ClusterFixture, openFixture } from '../../support/cluster-fixture.js';
import { collect } from '../../support/collect.js';

let run: CertifiedRun;
let fixture: ClusterFixture;
let refusals: Record<string, unknown>[];

beforeEach(async () => {
  ({ run, fixture, logged: refusals } = await openCertifiedCluster());
});
afterEach(closeCertifiedClusters);

/** A call that every member may make: whether it is answered, or why not. */
const callAs = (credentials: Pick<RunCredentials, 'channel'>) => ask(fixture.cluster.address, credentials);

async function ask(address: string, credentials: Pick<RunCredentials, 'channel'>): Promise<string> {
  const client = openChannel(CoordinatorClient, address, {
    ...{ credentials, peer: coordinatorName, maxReceiveBytes: 1 << 20 },
  });
  try {
    return await new Promise((resolve) => {
      const call = client.fetchDataset({}).resume();
      call.on('error', ({ details }: ServiceError) => resolve(details)).on('end', () => resolve('answered'));
    });
  } finally {
    client.close();
  }
}

/** How a connection with these options ends: `open` when it does not. */
async function handshake(options: ConnectionOptions): Promise<string> {
  const [host, port] = fixture.cluster.address.split(':');
  const socket: TLSSocket = connect({
    ...{ host: host!, port: Number(port), servername: coordinatorName, ALPNProtocols: ['h2'] },
    ...{ ca: run.authorityPem, minVersion: 'TLSv1.2', ...options },
  });
  closeLater(() => socket.destroy());
  const ended = new Promise<string>((resolve) => {
    socket.on('error', (error) => resolve(error.message));
    socket.on('close', () => resolve('closed'));
  });
  socket.resume();
  const open = new Promise<string>((resolve) => setTimeout(() => resolve('open'), 4_000));
  return Promise.race([ended, open]);
}

function identityOf(pair: KeyPair, authority = run.authorityPem) {
  return openCredentials({ kind: 'certificate', authority, ...pair });
}

const runsToItsEnd = (attack: () => Promise<void>) => expectToEnd({ run, fixture }, attack);

describe('a run whose members have certificates', () => {
  it('trains with those that bought theirs with a token', async () => {
    const token = await run.createToken();
    const result = fixture.cluster.run({ step: 0, source: 'fresh' });
    for (const id of ['guest-0', 'guest-1']) {
      const { credentials, localHost } = await enrolAt(
        fixture.cluster.address,
        token,
        run.authority.hash,
        id,
      );
      expect(localHost).toBe('127.0.0.1');
      fixture.join(id, { credentials });
    }
    await expect(result).resolves.toMatchObject({ step: 6, stopped: false });
    expect(refusals).toEqual([]);
  });

  it('refuses every certificate that its authority did not give, with one log line each, and trains on', async () => {
    const foreign = await createAuthority('another run');
    const asWorker = { name: workerName('worker-1'), subject: 'worker-1', lifetimeMs: 60_000 };
    const ofOther = await issuePair(foreign, asWorker);
    // Signed by the run's own key, and issued by nobody: as if the key had leaked for a moment.
    const unknown = await issuePair(await ownAuthority(), asWorker);
    const expired = await issuePair(await ownAuthority(), { ...asWorker, lifetimeMs: -1_000 });
    const selfSigned = await createAuthority(workerName('worker-1'));
    await runsToItsEnd(async () => {
      const attempts: [string, ConnectionOptions][] = [
        ['another run’s', { cert: ofOther.certificate, key: ofOther.key }],
        ['its own', { cert: selfSigned.certificate, key: selfSigned.key }],
        ['one that was never issued', { cert: unknown.certificate, key: unknown.key }],
        ['an expired one', { cert: expired.certificate, key: expired.key }],
      ];
      for (const [what, options] of attempts) {
        refusals.length = 0;
        expect(await handshake(options), what).not.toBe('open');
        await expect.poll(() => refusals, { message: what }).toHaveLength(1);
        expect(refusals[0], what).toMatchObject({ event: 'connection refused' });
      }
      refusals.length = 0;
      expect(await handshake({ maxVersion: 'TLSv1.2' })).toMatch(/protocol version|closed/);
      await expect.poll(() => refusals).toHaveLength(1);
      expect(await callAs(identityOf(ofOther))).not.toBe('answered');
      expect(await callAs(identityOf(expired))).not.toBe('answered');
      expect(await callAs(await run.credentialsOf('worker-7'))).toBe('answered');
    });
  });

  it('encrypts by AES-128, whatever Node prefers', async () => {
    const [host, port] = fixture.cluster.address.split(':');
    const trust = { ca: run.authorityPem, servername: coordinatorName, ALPNProtocols: ['h2'] };
    const socket = connect({ host: host!, port: Number(port), ...trust });
    closeLater(() => socket.destroy());
    await once(socket, 'secureConnect');
    expect(socket.getCipher().name).toBe('TLS_AES_128_GCM_SHA256');
  });

  it('serves nothing but enrolment to who shows no certificate, and hangs up on who says nothing', async () => {
    await runsToItsEnd(async () => {
      const { anonymousProof } = await import('../../../runtime/grpc/certificate-credentials.js');
      const channel = (peer: string) => anonymousProof(run.authorityPem, peer);
      expect(await callAs({ channel })).toMatch(/shows no certificate of this run/);
      const plain = connectPlainly(Number(fixture.cluster.address.split(':')[1]), '127.0.0.1');
      closeLater(() => plain.destroy());
      plain.on('error', () => {});
      plain.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
      plain.resume();
      await once(plain, 'close');
    });
  });

  it('takes in no worker under another’s id', async () => {
    await runsToItsEnd(async () => {
      const impostor = fixture.join('worker-1', { credentials: await run.credentialsOf('worker-9') });
      const { error } = await impostor.done;
      expect(error?.details).toContain('not that of worker worker-1');
      expect(refusals).toHaveLength(1);
    });
  });

  it.each([
    ['nobody', async () => {}],
    // An enrolment reads the tokens too, and must not hide from those who watch them what has changed.
    [
      'another',
      async (enrol: (token: string, id: string) => Promise<unknown>) => {
        await enrol(await run.createToken(), 'guest-6');
      },
    ],
  ] as const)(
    'lets go of a revoked token’s workers within seconds, with a line in the log, while %s enrols',
    async (_, meanwhile) => {
      const enrol = (token: string, id: string) =>
        enrolAt(fixture.cluster.address, token, run.authority.hash, id);
      const token = await run.createToken();
      const { credentials } = await enrol(token, 'guest-5');
      const guest = fixture.join('guest-5', { credentials });
      await expect.poll(() => guest.heard.map(({ $case }) => $case)).toContain('welcome');
      await revokeToken(join(run.folder, 'tokens'), token);
      await meanwhile(enrol);
      expect((await guest.done).error).not.toBeNull();
      expect(refusals).toContainEqual(
        expect.objectContaining({ event: 'token revoked', workers: ['guest-5'] }),
      );
      expect(await callAs(credentials)).not.toBe('answered');
      await expect(enrol(token, 'guest-5')).rejects.toMatchObject({
        code: 'unauthenticated',
        message: 'the token was revoked',
      });
    },
  );
});

describe('guests that prove nothing', () => {
  it('hold no run up: a thousand sockets half open, handshakes that stop, messages that never end or are too large', async () => {
    await runsToItsEnd(async () => {
      const port = Number(fixture.cluster.address.split(':')[1]);
      let gone = 0;
      for (let index = 0; index < 1_000; index += 1) {
        const socket = connectPlainly(port, '127.0.0.1');
        closeLater(() => socket.destroy());
        socket.on('error', () => {});
        socket.on('close', () => {
          gone += 1;
        });
        socket.resume();
        // The beginning of a ClientHello, of every other one.
        if (index % 2 === 0) socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]));
        if (index % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      // As many may wait as the guard lets, and none for long.
      await expect.poll(() => gone).toBeGreaterThanOrEqual(1_000 - 64);
      expect(refusals.length).toBeLessThan(20);
      expect(refusals[0]).toMatchObject({ event: 'connection closed' });

      const guest = () => {
        const socket = connect({
          ...{ port, host: '127.0.0.1', ca: run.authorityPem, servername: coordinatorName },
          ...{ ALPNProtocols: ['h2'], minVersion: 'TLSv1.3' },
        });
        closeLater(() => socket.destroy());
        socket.on('error', () => {});
        socket.resume();
        return socket;
      };
      // One header frame that is announced and comes a byte at a time.
      const slow = guest();
      await once(slow, 'secureConnect');
      slow.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
      slow.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0x40, 0, 1, 4, 0, 0, 0, 1]));
      const drip = setInterval(() => slow.write(Buffer.from([0])), 100);
      closeLater(() => clearInterval(drip));
      const ended = once(slow, 'close');

      const { anonymousProof } = await import('../../../runtime/grpc/certificate-credentials.js');
      const client = openChannel(EnrolmentClient, fixture.cluster.address, {
        credentials: { channel: (peer: string) => anonymousProof(run.authorityPem, peer) },
        ...{ peer: coordinatorName, maxReceiveBytes: 1 << 10 },
      });
      closeLater(() => client.close());
      const token = await run.createToken();
      const large = { token, workerId: 'guest-9', signingRequest: Buffer.alloc(1 << 20) };
      const error = await new Promise<{ code?: number } | null>((resolve) => client.enrol(large, resolve));
      expect(error?.code).toBe(status.RESOURCE_EXHAUSTED);
      await ended;
      await enrolAt(fixture.cluster.address, token, run.authority.hash, 'guest-9');
    });
  });
});

describe('a certificate that expires while its worker streams', () => {
  it('ends the stream with a line in the log, unless the worker has it renewed', async () => {
    const short = await openCertifiedRun(3_000);
    const { authority } = short;
    authority.onChange(() => refusals.push({ event: 'others may connect' }));
    const access = { credentials: authority.credentials, authority };
    const late = await openFixture(2, {}, { ...access, silenceMs: 10_000 });
    const loser = late.join('worker-4', { credentials: await short.credentialsOf('worker-4') });

    const kept = await short.credentialsOf('worker-3');
    const place = { workerId: 'worker-3', peerAddress: '127.0.0.1:7003', host: 'here', zone: undefined };
    const register = { ...place, pid: process.pid, version: '1.0.0' };
    const beat = () => ({ generation: 0n, step: 0n, evaluated: 0, activity: Activity.ACTIVITY_WAITING });
    const hello = { register, timeoutMs: 5_000 };
    const session = await openSession(late.cluster.address, kept, hello, beat);
    let end: unknown = null;
    void collect(session.messages).catch((error: unknown) => {
      end = error;
    });
    const onRenewed = vi.fn();
    // As if certificates lasted half as long: no delay of this machine's makes it late.
    const stop = keepRenewed({ credentials: kept, lifetimeMs: 1_500, session: () => session, onRenewed });
    closeLater(stop, session.close);

    expect((await loser.done).error).not.toBeNull();
    const lost = refusals.findIndex(({ event }) => event === 'certificate expired');
    expect(refusals[lost]).toMatchObject({ name: workerName('worker-4') });
    // NATS hears of it at once.
    expect(refusals[lost + 1]).toEqual({ event: 'others may connect' });

    // A second each: its first certificates have expired long since.
    await expect.poll(() => onRenewed.mock.calls.length).toBeGreaterThanOrEqual(6);
    expect(end).toBeNull();
    expect(await session.fetchDataset()).toMatchObject({ digest: 'none' });
    expect(await ask(late.cluster.address, kept)).toBe('answered');
    const expired = refusals.filter(({ event }) => event === 'certificate expired');
    expect(expired).toHaveLength(1);
    expect(onRenewed).toHaveBeenLastCalledWith(kept.identity);
  });
});

/** The run's authority with its key, as it lies in its folder. */
async function ownAuthority(): Promise<KeyPair> {
  const { readFileSync } = await import('node:fs');
  return {
    certificate: readFileSync(join(run.folder, 'authority.pem'), 'utf8'),
    key: readFileSync(join(run.folder, 'authority-key.pem'), 'utf8'),
  };
}
