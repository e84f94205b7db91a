import path from 'node:path';
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { BasicConstraintsExtension, Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import { expect } from 'vitest';
import {
  makeToken,
  revokeToken,
  type TokenRole,
  tokensFolder,
  writeToken,
} from '../../coordinator/run-store/join-tokens.js';
import { ControlClient } from '../../proto/gen/control.js';
import { CoordinatorClient, EnrolmentClient } from '../../proto/gen/coordinator.js';
import { PeerClient, RingKind } from '../../proto/gen/peer.js';
import { createAuthority, issuePair, type KeyPair } from '../../runtime/certificates.js';
import { createDeferred } from '../../runtime/deferred.js';
import { anonymousProof } from '../../runtime/grpc/certificate-credentials.js';
import { openChannel } from '../../runtime/grpc/channel.js';
import type { RunCredentials } from '../../runtime/grpc/credentials.js';
import { workerName } from '../../runtime/member-name.js';
import { call, closeLater, handshake, type Proof, register } from './attack-connections.js';
import { enrolAt } from './certified-run.js';
import { runCoordinator } from './coordinator-process.js';

/** What an attacker tries, and the one line that the coordinator logs of it. */
export interface Attack {
  readonly name: string;
  readonly line: RegExp;
  try(): Promise<unknown>;
}

export interface Target {
  readonly address: string;
  readonly folder: string;
  readonly hash: string;
  /** Of the run: in its folder, for who may read that. */
  readonly authority: KeyPair;
  /** A certificate authority that the coordinator's machine trusts for other things. */
  readonly publicAuthority: KeyPair;
}

const tokensOf = ({ folder }: Target) => tokensFolder(path.join(folder, 'identity'));

async function createToken(
  target: Target,
  uses: number | null,
  lifetimeMs = 600_000,
  role: TokenRole = 'worker',
): Promise<string> {
  const { token, record } = makeToken({ lifetimeMs, uses, role });
  await writeToken(tokensOf(target), record);
  return token;
}

/** A certificate of the run, for who holds a token. */
export async function joinAs(id: string, target: Target): Promise<RunCredentials> {
  const token = await createToken(target, 1);
  return (await enrolAt(target.address, token, target.hash, id)).credentials;
}

export async function attacksOn(target: Target): Promise<Attack[]> {
  const { address, hash, authority, publicAuthority } = target;
  const member = await joinAs('mallory', target);
  const guest: Proof = { channel: (peer) => anonymousProof(authority.certificate, peer) };
  const asWorker = { name: workerName('worker-0'), subject: 'worker-0', lifetimeMs: 60_000 };
  const show = (pair: KeyPair) => handshake(target, { cert: pair.certificate, key: pair.key });
  const enrol = (token: string, id: string) => () => enrolAt(address, token, hash, id).catch(() => {});
  const used = await createToken(target, 1);
  await enrolAt(address, used, hash, 'mallory-2');
  const revoked = await createToken(target, null);
  await revokeToken(tokensOf(target), revoked);
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign']);
  const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' };
  const greedy = await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm, name: 'CN=root' });
  const authorities = await Pkcs10CertificateRequestGenerator.create({
    ...{ keys, signingAlgorithm, extensions: [new BasicConstraintsExtension(true)] },
  });
  const squeezed = { 'grpc.default_compression_algorithm': 2 };
  const enrolment = async (signingRequest: Buffer, more?: object) => {
    const token = await createToken(target, null);
    const question = { token, workerId: 'mallory-3', signingRequest };
    return call(target, EnrolmentClient, guest, (client, done) => client.enrol(question, done), more);
  };
  const asOperator = async (token: string | null) => {
    const metadata = new Metadata();
    if (token !== null) metadata.set('rondo-token', token);
    await call(target, ControlClient, guest, (client, done) => client.scale({ workers: 1 }, metadata, done));
  };
  const revokedOperator = await createToken(target, null, 600_000, 'operator');
  await revokeToken(tokensOf(target), revokedOperator);
  const refused = (why: string) => new RegExp(`"(call|connection) refused".*${why}`);
  return [
    {
      name: 'no certificate',
      line: refused('FetchDataset.*shows no certificate'),
      try: () =>
        call(target, CoordinatorClient, guest, (client, done) =>
          client.fetchDataset({}).on('error', done).resume(),
        ),
    },
    {
      name: 'another run’s certificate',
      line: refused('certificate is refused: UNABLE_TO_VERIFY'),
      async try() {
        await show(await issuePair(await createAuthority('Rondo run other'), asWorker));
      },
    },
    {
      name: 'a certificate of a public authority',
      line: refused('certificate is refused: UNABLE_TO_VERIFY'),
      try: async () => show(await issuePair(publicAuthority, asWorker)),
    },
    {
      name: 'an expired certificate',
      line: refused('CERT_HAS_EXPIRED'),
      try: async () => show(await issuePair(authority, { ...asWorker, lifetimeMs: -1_000 })),
    },
    {
      name: 'a certificate that was never issued',
      line: refused('was not issued by this coordinator'),
      try: async () => show(await issuePair(authority, asWorker)),
    },
    {
      name: 'TLS 1.2',
      line: refused('handshake failed.*(version|protocol)'),
      try: () => handshake(target, { maxVersion: 'TLSv1.2' }),
    },
    {
      name: 'a signing request for another’s name',
      line: refused('Enrol.*name or for extensions'),
      try: () => enrolment(Buffer.from(greedy.rawData)),
    },
    {
      name: 'a signing request for an authority',
      line: refused('Enrol.*name or for extensions'),
      async try() {
        const error = await enrolment(Buffer.from(authorities.rawData));
        expect(error?.details).toContain('asks for a name or for extensions');
      },
    },
    { name: 'a used token', line: refused('Enrol.*is used up'), try: enrol(used, 'again') },
    { name: 'a revoked token', line: refused('Enrol.*was revoked'), try: enrol(revoked, 'late') },
    {
      name: 'an expired token',
      line: refused('Enrol.*has expired'),
      try: async () => enrol(await createToken(target, null, -1), 'old')(),
    },
    {
      name: 'control without a token',
      line: refused('Control/Scale.*carries no token'),
      try: () => asOperator(null),
    },
    {
      name: 'control with a token to join',
      line: refused('Control/Scale.*is for workers to join with'),
      try: async () => asOperator(await createToken(target, null)),
    },
    {
      name: 'joining with an operator’s token',
      line: refused('Enrol.*is for an operator'),
      try: async () => enrol(await createToken(target, null, 600_000, 'operator'), 'spy')(),
    },
    {
      name: 'control with a revoked token',
      line: refused('Control/Scale.*was revoked'),
      try: () => asOperator(revokedOperator),
    },
    {
      name: 'control with an expired token',
      line: refused('Control/Scale.*has expired'),
      try: async () => asOperator(await createToken(target, null, -1, 'operator')),
    },
    {
      name: 'an id of the coordinator’s own workers',
      line: refused('Enrol.*which the coordinator starts'),
      try: async () => enrol(await createToken(target, 1), 'worker-0')(),
    },
    {
      name: 'another worker’s id in a session',
      line: refused('Session.*not that of worker worker-0'),
      try: () => register(target, member, 'worker-0'),
    },
    {
      name: 'staying when the token is revoked',
      line: /"token revoked".*"mallory-5"/,
      try: () => stayRevoked(target, 'mallory-5'),
    },
    {
      name: 'a sample that is none',
      line: refused('FetchSamples.*there is no sample'),
      try: () =>
        call(target, CoordinatorClient, member, (client, done) =>
          client
            .fetchSamples({ valid: false, ids: [2 ** 32 - 1] })
            .on('error', done)
            .resume(),
        ),
    },
    {
      name: 'a message that is too large',
      line: refused('Enrol.*[Rr]eceived message larger'),
      try: () => enrolment(Buffer.alloc(1 << 20)),
    },
    {
      name: 'a decompression bomb',
      line: refused('Enrol.*decompresses to a size larger'),
      try: () => enrolment(Buffer.alloc(4 << 20), squeezed),
    },
  ];
}

/** Takes part, and goes on with it when a person has revoked the token. */
async function stayRevoked(target: Target, id: string): Promise<void> {
  const token = await createToken(target, 1);
  const { credentials } = await enrolAt(target.address, token, target.hash, id);
  const welcomed = createDeferred<void>();
  const ended = register(target, credentials, id, welcomed.resolve);
  await Promise.race([welcomed.promise, ended]);
  const { code, stderr } = await runCoordinator(['token', 'revoke', target.folder, token.split('.')[0]!]);
  expect(code, stderr).toBe(0);
  expect(await ended).not.toBeNull();
}

/** What a member tries at another one, a worker: why each is refused. */
export async function attackPeer(address: string, id: string, member: Proof, generation: bigint) {
  const client = openChannel(PeerClient, address, {
    ...{ credentials: member, peer: workerName(id), maxReceiveBytes: 1 << 20 },
  });
  closeLater(() => client.close());
  const pull = { rank: 0, slots: undefined, dataConnection: false, ring: RingKind.RING_KIND_ALL };
  const calls = [
    client.exchange({ generation, ...pull }),
    client.exchange({ generation: generation - 1n, ...pull }),
    client.copyState({ generation, step: 0n, flat: false }),
  ];
  const ends = calls.map(
    (each) =>
      new Promise<string>((resolve) => {
        each.on('error', ({ details }: ServiceError) => resolve(details));
        each.on('end', () => resolve('answered')).resume();
      }),
  );
  const [rank, old, state] = await Promise.all(ends);
  return { rank, old, state };
}
