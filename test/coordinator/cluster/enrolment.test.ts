import 'reflect-metadata';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import {
  BasicConstraintsExtension,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAuthority, issuePair } from '../../../runtime/certificates.js';
import { coordinatorName, workerName } from '../../../runtime/member-name.js';
import {
  closeCertifiedClusters,
  closeLater,
  expectToEnd,
  openCertifiedCluster,
} from '../../support/certified-cluster.js';
import { type CertifiedRun, enrolAt } from '../../support/certified-run.js';
import type { ClusterFixture } from '../../support/cluster-fixture.js';

let run: CertifiedRun;
let fixture: ClusterFixture;
let refusals: Record<string, unknown>[];

beforeEach(async () => {
  ({ run, fixture, logged: refusals } = await openCertifiedCluster());
});
afterEach(closeCertifiedClusters);

describe('enrolment', () => {
  const refused = (token: string, message: RegExp, id = 'guest-1', code = 'unauthenticated') =>
    expect(enrolAt(fixture.cluster.address, token, run.authority.hash, id)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });

  it('takes a token as often as it may be used, as long as it lasts, and no other', async () => {
    await expectToEnd({ run, fixture }, async () => {
      const once = await run.createToken({ uses: 1 });
      await enrolAt(fixture.cluster.address, once, run.authority.hash, 'first');
      await refused(once, /^the token is used up$/, 'second');
      await refused(once, /^the token is used up$/, 'first');
      await refused(await run.createToken({ lifetimeMs: -1 }), /^the token has expired$/);
      const [id, secret] = (await run.createToken()).split('.') as [string, string];
      const wrong = [
        '',
        id,
        `${id}.`,
        `${id}.${secret.slice(1)}`,
        `${id}.${secret}x`,
        `${id}.${secret.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))}`,
        `zzzzzz.${secret}`,
        `../../${id}.${secret}`,
        'x'.repeat(5_000),
      ];
      for (const token of wrong) await refused(token, /^the token is not one of this run$/);
      // The same again is counted, and logged later.
      expect(refusals).toMatchObject(
        ['is used up', 'has expired', 'is not one of this run'].map((why) => ({
          ...{ event: 'call refused', call: '/rondo.coordinator.v1.Enrolment/Enrol' },
          reason: `the token ${why}`,
        })),
      );
    });
  });

  it('shares one use between two that come at once', async () => {
    const token = await run.createToken({ uses: 1 });
    const outcomes = await Promise.allSettled(
      ['a', 'b'].map((id) => enrolAt(fixture.cluster.address, token, run.authority.hash, id)),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('gives nobody the name of a worker that takes part, or that the coordinator starts', async () => {
    const token = await run.createToken();
    const guest = fixture.join('guest-5', { credentials: await run.credentialsOf('guest-5') });
    await expect.poll(() => guest.heard).not.toHaveLength(0);
    await refused(token, /takes part already/, 'guest-5', 'permission-denied');
    await refused(token, /which the coordinator starts/, 'worker-0', 'permission-denied');
    await refused(token, /not a worker id/, 'no/id', 'invalid-argument');
  });

  it('signs no request that asks for more than a certificate of its key, a P-256 key that it proves', async () => {
    const token = await run.createToken();
    const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
      'sign',
      'verify',
    ]);
    const sign = { keys, signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' } };
    const requestOf = async (more: object) =>
      new Uint8Array((await Pkcs10CertificateRequestGenerator.create({ ...sign, ...more })).rawData);
    const raw = await requestOf({});
    const { certificate } = await run.authority.enrol({ token, workerId: 'modest', signingRequest: raw });
    const { X509Certificate } = await import('node:crypto');
    const given = new X509Certificate(certificate);
    expect(given).toMatchObject({ ca: false, subject: 'CN=modest' });
    expect(given.subjectAltName).toBe(`DNS:${workerName('modest')}`);
    const greedy = [
      { name: 'CN=coordinator' },
      { extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: coordinatorName }])] },
      { extensions: [new BasicConstraintsExtension(true, 1, true)] },
    ];
    for (const more of greedy) {
      const signingRequest = await requestOf(more);
      await expect(run.authority.enrol({ token, workerId: 'x', signingRequest })).rejects.toMatchObject({
        code: 'invalid-argument',
        message: expect.stringContaining('the authority’s to give'),
      });
    }

    const forged = raw.slice();
    forged[forged.length - 1]! ^= 1;
    const rsa = await crypto.subtle.generateKey(
      {
        name: 'RSASSA-PKCS1-v1_5',
        modulusLength: 2048,
        publicExponent: new Uint8Array([1, 0, 1]),
        hash: 'SHA-256',
      },
      true,
      ['sign', 'verify'],
    );
    const ofRsa = await Pkcs10CertificateRequestGenerator.create({
      keys: rsa,
      signingAlgorithm: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    });
    for (const request of [
      new Uint8Array(0),
      new Uint8Array(100),
      forged,
      raw.slice(0, -1),
      new Uint8Array(ofRsa.rawData),
      new Uint8Array(1 << 20),
    ]) {
      await expect(
        run.authority.enrol({ token, workerId: 'x', signingRequest: request }),
      ).rejects.toMatchObject({ code: 'invalid-argument' });
    }
  });

  it('sends no token to who is not the coordinator that the hash names', async () => {
    const token = await run.createToken();
    const heard: Buffer[] = [];
    const foreign = await createAuthority('an attacker');
    const pair = await issuePair(foreign, { name: coordinatorName, subject: 'it', lifetimeMs: 60_000 });
    const listenWith = async (chain: string) => {
      const server = createServer({ cert: pair.certificate + chain, key: pair.key, ALPNProtocols: ['h2'] });
      server.on('secureConnection', (socket) => {
        socket.on('error', () => {});
        socket.on('data', (data) => heard.push(data));
      });
      server.on('tlsClientError', () => {});
      await once(server.listen(0, '127.0.0.1'), 'listening');
      closeLater(() => server.close());
      return `127.0.0.1:${(server.address() as { port: number }).port}`;
    };
    // The second shows the true authority's certificate, which everybody may see, beside one of its own.
    const [own, borrowed] = [await listenWith(foreign.certificate), await listenWith(run.authorityPem)];
    for (const address of [own, borrowed]) {
      await expect(enrolAt(address, token, run.authority.hash)).rejects.toMatchObject({
        code: expect.stringMatching(/^(unauthenticated|unavailable)$/),
      });
    }
    expect(Buffer.concat(heard).includes(token.split('.')[1]!)).toBe(false);
    await enrolAt(fixture.cluster.address, token, run.authority.hash);
  });
});

describe('what lies on the disk', () => {
  it('is the authority, readable by its user alone, and no token', async () => {
    const token = await run.createToken();
    expect(statSync(join(run.folder, 'authority-key.pem')).mode & 0o777).toBe(0o600);
    for (const name of readdirSync(run.folder, { recursive: true, encoding: 'utf8' })) {
      const path = join(run.folder, name);
      if (!statSync(path).isFile()) continue;
      expect(readFileSync(path, 'utf8'), name).not.toContain(token.split('.')[1]);
    }
  });
});
