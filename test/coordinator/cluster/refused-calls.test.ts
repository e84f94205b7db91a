import 'reflect-metadata';
import { once } from 'node:events';
import { connect as connectPlainly } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { revokeToken } from '../../../coordinator/run-store/join-tokens.js';
import { CoordinatorClient, EnrolmentClient } from '../../../proto/gen/coordinator.js';
import { anonymousProof } from '../../../runtime/grpc/certificate-credentials.js';
import type { RunCredentials } from '../../../runtime/grpc/credentials.js';
import { channelOptions } from '../../../runtime/grpc/options.js';
import { coordinatorName, workerName } from '../../../runtime/member-name.js';
import {
  closeCertifiedClusters,
  closeLater,
  closeNow,
  openCertifiedCluster,
} from '../../support/certified-cluster.js';
import { type CertifiedRun, enrolAt } from '../../support/certified-run.js';
import type { ClusterFixture } from '../../support/cluster-fixture.js';

let run: CertifiedRun;
let fixture: ClusterFixture;
let lines: Record<string, unknown>[];

beforeEach(async () => {
  ({ run, fixture, logged: lines } = await openCertifiedCluster());
});
afterEach(closeCertifiedClusters);

const guest = { channel: (peer: string) => anonymousProof(run.authorityPem, peer) };

/** gzip, as an attacker chooses it: a thousandth of what it becomes. */
const squeezed = { 'grpc.default_compression_algorithm': 2 } as const;

function open<C extends CoordinatorClient | EnrolmentClient>(
  Class: new (...inputs: ConstructorParameters<typeof CoordinatorClient>) => C,
  credentials: Pick<RunCredentials, 'channel'>,
  more: object = {},
): C {
  const proof = credentials.channel(coordinatorName);
  const client = new Class(fixture.cluster.address, proof.credentials, {
    ...{ ...channelOptions(1 << 20), 'grpc.ssl_target_name_override': proof.serverName!, ...more },
  });
  closeLater(() => client.close());
  return client;
}

/** The code that a call ends with, and the one line that is logged of it. */
async function refusal(call: (done: (error: ServiceError | null) => void) => unknown) {
  lines.length = 0;
  const error = await new Promise<ServiceError | null>((resolve) => call(resolve));
  await expect.poll(() => lines.length).toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(lines).toHaveLength(1);
  return { code: error?.code, line: lines[0]! };
}

async function runsToItsEnd(attack: () => Promise<void>): Promise<void> {
  const result = fixture.cluster.run({ step: 0, source: 'fresh' });
  fixture.join('worker-0', { credentials: await run.credentialsOf('worker-0') });
  await attack();
  fixture.join('worker-1', { credentials: await run.credentialsOf('worker-1') });
  await expect(result).resolves.toMatchObject({ step: 6, stopped: false });
  expect(fixture.losses).toEqual([]);
}

it('has one line for each call that is refused, with who made it and why', async () => {
  await runsToItsEnd(async () => {
    const member = open(CoordinatorClient, await run.credentialsOf('worker-9'));
    const caller = workerName('worker-9');
    const without = open(CoordinatorClient, guest);
    expect(await refusal((done) => without.fetchDataset({}).on('error', done).resume())).toMatchObject({
      code: status.UNAUTHENTICATED,
      line: { event: 'call refused', reason: expect.stringContaining('shows no certificate') },
    });
    expect(await refusal((done) => without.session().on('error', done).resume())).toMatchObject({
      code: status.UNAUTHENTICATED,
    });
    const impostor = await refusal((done) => {
      const session = member.session();
      session.on('error', done).resume();
      const register = {
        workerId: 'worker-0',
        peerAddress: '127.0.0.1:1',
        host: 'h',
        pid: 1,
        version: '1.0.0',
      };
      session.write({
        message: { $case: 'register', value: { ...register, zone: '', attachment: undefined } },
      });
    });
    expect(impostor).toMatchObject({ code: status.PERMISSION_DENIED, line: { caller } });
    for (const ids of [[0], [2 ** 32 - 1], Array.from({ length: 1_025 }, () => 0)]) {
      const asked = await refusal((done) =>
        member.fetchSamples({ valid: false, ids }).on('error', done).resume(),
      );
      expect(asked).toMatchObject({ code: status.INVALID_ARGUMENT, line: { caller } });
    }
    const garbage = await refusal((done) =>
      member.makeUnaryRequest(
        '/rondo.coordinator.v1.Coordinator/Renew',
        () => Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        () => null,
        {},
        new Metadata(),
        done,
      ),
    );
    expect(garbage).toMatchObject({ line: { event: 'call refused', caller } });
  });
});

it('takes no message that is too large, as it comes or once it is decompressed, and logs one line', async () => {
  await runsToItsEnd(async () => {
    const token = await run.createToken();
    const large = (bytes: number) => ({ token, workerId: 'guest-9', signingRequest: Buffer.alloc(bytes) });
    const member = await run.credentialsOf('worker-9');
    const attempts: [string, (done: (error: ServiceError | null) => void) => unknown][] = [
      ['a guest’s', (done) => open(EnrolmentClient, guest).enrol(large(1 << 20), done)],
      ['a guest’s bomb', (done) => open(EnrolmentClient, guest, squeezed).enrol(large(8 << 20), done)],
      [
        'a member’s bomb',
        (done) => {
          const client = open(CoordinatorClient, member, squeezed);
          client.renew({ signingRequest: Buffer.alloc(96 << 20) }, done);
        },
      ],
    ];
    for (const [what, attempt] of attempts) {
      expect(await refusal(attempt), what).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
      // A guest that stays is hung up on after 5 s, which has a line of its own.
      closeNow();
    }
    await enrolAt(fixture.cluster.address, token, run.authority.hash, 'guest-9');
  });
});

it('has one line for each connection that proves nothing in time', async () => {
  await runsToItsEnd(async () => {
    const [, port] = fixture.cluster.address.split(':');
    const silent = connectPlainly(Number(port), '127.0.0.1')
      .on('error', () => {})
      .resume();
    const idle = connect({
      ...{ port: Number(port), host: '127.0.0.1', ca: run.authorityPem, servername: coordinatorName },
    });
    idle.on('error', () => {}).resume();
    closeLater(
      () => silent.destroy(),
      () => idle.destroy(),
    );
    await Promise.all([once(silent, 'close'), once(idle, 'close')]);
    await expect.poll(() => lines.length).toBeGreaterThanOrEqual(2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(lines).toHaveLength(2);
  });
});

it('has one line for the handshakes of a revoked member', async () => {
  await runsToItsEnd(async () => {
    const token = await run.createToken();
    const { credentials } = await enrolAt(fixture.cluster.address, token, run.authority.hash, 'guest-5');
    await revokeToken(join(run.folder, 'tokens'), token);
    await expect.poll(() => lines).toMatchObject([{ event: 'token revoked' }]);
    const revoked = await refusal((done) =>
      open(CoordinatorClient, credentials).fetchDataset({}).on('error', done).resume(),
    );
    expect(revoked.line).toMatchObject({
      event: 'connection refused',
      reason: 'its certificate was revoked',
    });
  });
});
