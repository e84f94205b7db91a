import 'reflect-metadata';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect as connectPlainly } from 'node:net';
import path from 'node:path';
import { type ConnectionOptions, connect as connectSecurely } from 'node:tls';
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import { connect as connectNats } from 'nats';
import { afterEach, expect, it } from 'vitest';
import {
  makeToken,
  revokeToken,
  type TokenRole,
  writeToken,
} from '../../coordinator/run-store/join-tokens.js';
import { ControlClient } from '../../proto/gen/control.js';
import { CoordinatorClient, EnrolmentClient } from '../../proto/gen/coordinator.js';
import { subjects } from '../../proto/metrics.js';
import { createAuthority, issuePair, type KeyPair } from '../../runtime/certificates.js';
import { anonymousProof } from '../../runtime/grpc/certificate-credentials.js';
import type { CertificateIdentity, RunCredentials } from '../../runtime/grpc/credentials.js';
import { channelOptions } from '../../runtime/grpc/options.js';
import { coordinatorName, workerName } from '../../runtime/member-name.js';
import { inboxPrefix } from '../../runtime/nats-session.js';
import { enrolAt } from '../support/certified-run.js';
import { runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { readMetrics, readStateDigest } from '../support/run-files.js';
import { openTinyRuns } from '../support/tiny-runs.js';
import { joinWorker } from '../support/worker-process.js';

const runs = await openTinyRuns(20); // 48 training images: 3 steps
const { data } = runs;
const closing: (() => void)[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** What an attacker tries, and the one line that the coordinator logs of it. */
interface Attack {
  readonly name: string;
  readonly line: RegExp;
  try(): Promise<unknown>;
}

interface Target {
  readonly address: string;
  readonly folder: string;
  readonly hash: string;
  /** Of the run: in its folder, for who may read that. */
  readonly authority: KeyPair;
  /** A certificate authority that the coordinator's machine trusts for other things. */
  readonly publicAuthority: KeyPair;
}

type Proof = Pick<RunCredentials, 'channel'>;

/** How a call by `credentials` ends. */
function call<C extends CoordinatorClient | EnrolmentClient | ControlClient>(
  { address }: Target,
  Class: new (...inputs: ConstructorParameters<typeof CoordinatorClient>) => C,
  credentials: Proof,
  ask: (client: C, done: (error: ServiceError | null) => void) => unknown,
  more: object = {},
): Promise<ServiceError | null> {
  const proof = credentials.channel(coordinatorName);
  const client = new Class(address, proof.credentials, {
    ...{ ...channelOptions(1 << 20), 'grpc.ssl_target_name_override': proof.serverName!, ...more },
  });
  closing.push(() => client.close());
  return new Promise((resolve) => ask(client, resolve));
}

/** A TLS connection that is tried, until it has ended. */
function handshake({ address, authority }: Target, options: ConnectionOptions): Promise<unknown> {
  const [host, port] = address.split(':');
  const socket = connectSecurely({
    ...{ host: host!, port: Number(port), servername: coordinatorName, ALPNProtocols: ['h2'] },
    ...{ ca: authority.certificate, minVersion: 'TLSv1.2', ...options },
  });
  return new Promise((resolve) => socket.on('error', resolve).on('close', resolve).resume());
}

async function attacksOn(target: Target): Promise<Attack[]> {
  const { address, folder, hash, authority, publicAuthority } = target;
  const identity = path.join(folder, 'identity');
  const tokens = path.join(identity, 'tokens');
  const createToken = async (uses: number | null, lifetimeMs = 600_000, role: TokenRole = 'worker') => {
    const { token, record } = makeToken({ lifetimeMs, uses, role });
    await writeToken(tokens, record);
    return token;
  };
  const member = (await enrolAt(address, await createToken(1), hash, 'mallory')).credentials;
  const guest: Proof = { channel: (peer) => anonymousProof(authority.certificate, peer) };
  const asWorker = { name: workerName('worker-0'), subject: 'worker-0', lifetimeMs: 60_000 };
  const show = (pair: KeyPair) => handshake(target, { cert: pair.certificate, key: pair.key });
  const enrol = (token: string, id: string) => () => enrolAt(address, token, hash, id).catch(() => {});
  const used = await createToken(1);
  await enrolAt(address, used, hash, 'mallory-2');
  const revoked = await createToken(null);
  await revokeToken(tokens, revoked);
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign']);
  const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' };
  const greedy = await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm, name: 'CN=root' });
  const squeezed = { 'grpc.default_compression_algorithm': 2 };
  const enrolment = async (signingRequest: Buffer, more?: object) => {
    const token = await createToken(null);
    const question = { token, workerId: 'mallory-3', signingRequest };
    return call(target, EnrolmentClient, guest, (client, done) => client.enrol(question, done), more);
  };
  const register = (workerId: string) =>
    call(target, CoordinatorClient, member, (client, done) => {
      const session = client.session().on('error', done).resume();
      const value = { workerId, peerAddress: '127.0.0.1:1', host: 'h', pid: 1, version: '', zone: undefined };
      session.write({ message: { $case: 'register', value: { ...value, attachment: undefined } } });
    });
  const asOperator = async (token: string | null) => {
    const metadata = new Metadata();
    if (token !== null) metadata.set('rondo-token', token);
    await call(target, ControlClient, guest, (client, done) => client.scale({ workers: 1 }, metadata, done));
  };
  const revokedOperator = await createToken(null, 600_000, 'operator');
  await revokeToken(tokens, revokedOperator);
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
    { name: 'a used token', line: refused('Enrol.*is used up'), try: enrol(used, 'again') },
    { name: 'a revoked token', line: refused('Enrol.*was revoked'), try: enrol(revoked, 'late') },
    {
      name: 'an expired token',
      line: refused('Enrol.*has expired'),
      try: async () => enrol(await createToken(null, -1), 'old')(),
    },
    {
      name: 'control without a token',
      line: refused('Control/Scale.*carries no token'),
      try: () => asOperator(null),
    },
    {
      name: 'control with a token to join',
      line: refused('Control/Scale.*is for workers to join with'),
      try: async () => asOperator(await createToken(null)),
    },
    {
      name: 'joining with an operator’s token',
      line: refused('Enrol.*is for an operator'),
      try: async () => enrol(await createToken(null, 600_000, 'operator'), 'spy')(),
    },
    {
      name: 'control with a revoked token',
      line: refused('Control/Scale.*was revoked'),
      try: () => asOperator(revokedOperator),
    },
    {
      name: 'control with an expired token',
      line: refused('Control/Scale.*has expired'),
      try: async () => asOperator(await createToken(null, -1, 'operator')),
    },
    {
      name: 'an id of the coordinator’s own workers',
      line: refused('Enrol.*which the coordinator starts'),
      try: async () => enrol(await createToken(1), 'worker-0')(),
    },
    {
      name: 'another worker’s id in a session',
      line: refused('Session.*not that of worker worker-0'),
      try: () => register('worker-0'),
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

interface LogLine {
  readonly time: string;
  readonly again?: number;
}

/** Half-open connections, as many as one may hold and some more. */
function knock(address: string, count: number): void {
  const [host, port] = address.split(':');
  for (let index = 0; index < count; index += 1) {
    const socket = connectPlainly(Number(port), host)
      .on('error', () => {})
      .resume();
    closing.push(() => socket.destroy());
  }
}

/** What a member tries at NATS, and the line of the server's own log. */
async function attackNats(url: string, runId: string, authority: string, member: CertificateIdentity) {
  const tls = { ca: authority, servername: coordinatorName };
  const options = { servers: url, reconnect: false, timeout: 5_000 } as const;
  await expect(connectNats({ ...options, tls })).rejects.toThrow();
  const own = { ...tls, cert: member.certificate, key: member.key };
  const connection = await connectNats({
    ...options,
    tls: own,
    inboxPrefix: inboxPrefix(workerName('mallory')),
  });
  connection.publish(subjects.step(runId, 'worker-0'), '{}');
  connection.publish(`$JS.API.STREAM.DELETE.rondo-${runId}`);
  connection.subscribe('>');
  await connection.flush();
  await connection.close();
}

it('a run that is attacked meanwhile logs a line for each attack, and ends with the same weights', async () => {
  const quick = ['--epochs', '1', '--threads', '1'];
  const calm = runCoordinator(runs.start('calm', data, ...quick));

  const publicAuthority = await createAuthority('A Public Authority');
  const trusted = path.join(runs.root, 'trusted.pem');
  writeFileSync(trusted, publicAuthority.certificate);
  const coordinator = startCoordinator(
    runs.start(
      ...(['attacked', data, ...quick, '--workers', '2', '--local-workers', '1'] as const),
      ...['--listen', '127.0.0.1:0', '--advertise', 'coordinator.example:7070'],
    ),
    { RONDO_LOG: 'warn', NODE_EXTRA_CA_CERTS: trusted },
  );
  const { joining } = await coordinator.event(({ kind }) => kind === 'waiting');
  const { token, hash } = joining as { token: string; hash: string };
  const folder = runs.run('attacked');
  const read = (name: string) => readFileSync(path.join(folder, name), 'utf8');
  const { address, nats } = JSON.parse(read('coordinator.json')) as {
    address: string;
    nats: { port: number };
  };
  const authority = { certificate: read('identity/authority.pem'), key: read('identity/authority-key.pem') };
  const attacks = await attacksOn({ address, folder, hash, authority, publicAuthority });
  for (const attack of attacks) await attack.try();

  const { runId } = JSON.parse(read('run.json')).config as { runId: string };
  const mallory = await issuedTo(address, folder, hash);
  await attackNats(`tls://127.0.0.1:${nats.port}`, runId, authority.certificate, mallory);
  const natsLog = read('nats/nats-server.log');
  for (const refusal of [/didn't provide a certificate/, /Publish Violation.*worker-0/]) {
    expect(natsLog.match(new RegExp(refusal, 'g')), natsLog).toHaveLength(1);
  }
  expect(natsLog.match(/Publish Violation.*JS\.API\.STREAM\.DELETE/g), natsLog).toHaveLength(1);
  expect(natsLog.match(/Subscription Violation/g), natsLog).toHaveLength(1);

  // Meanwhile an operator elsewhere looks on, by the line that the coordinator's machine prints for one.
  const create = ['token', 'create', folder, '--for', 'operator', '--coordinator', address];
  const printed = (await runCoordinator(create)).stdout.trim().split(' ');
  expect(printed.slice(0, 2)).toEqual(['coordinator', 'status']);
  const proof = printed.slice(2);
  const [asked, told] = await Promise.all([
    runCoordinator(['status', ...proof, '--json']),
    runCoordinator(['logs', 'attacked', ...proof, '--tail', '1']),
  ]);
  expect(asked.events, asked.stderr).toMatchObject([{ kind: 'status', runId, phase: 'gathering' }]);
  expect(told.stdout, told.stderr).toMatch(
    /worker join --coordinator \S+ --token-file FILE --ca-hash \S+\n$/,
  );
  const follower = startCoordinator(['logs', ...proof, '--follow', '--json']);
  await follower.event(({ kind }) => kind === 'prepared');

  const secondRound = new Date().toISOString();
  // While it trains, all of it at once, and sockets that say nothing.
  const guest = joinWorker(address, { inputs: ['--token', token, '--ca-hash', hash, '--id', 'guest'] });
  await coordinator.event(({ kind }) => kind === 'assigned');
  knock(address, 200);
  // The run may end first.
  const again = Promise.allSettled(attacks.map((attack) => attack.try()));
  const { code, stderr, events } = await coordinator.exited;
  await Promise.race([again, new Promise((resolve) => setTimeout(resolve, 5_000))]);
  expect(code, stderr).toBe(0);
  expect((await guest.exited).code).toBe(0);
  expect(events.at(-1)).toMatchObject({ kind: 'summary', status: 'completed', steps: 3 });
  expect(events.filter(({ kind }) => ['worker-lost', 'recovered'].includes(kind))).toEqual([]);

  const followed = await follower.exited;
  expect(followed.code, followed.stderr).toBe(0);
  expect(followed.events.at(-1)).toEqual({ kind: 'ended', reason: 'the run is completed' });
  expect(followed.events.filter(({ kind }) => kind === 'step')).toHaveLength(3);
  expect(followed.stdout + told.stdout).not.toContain(token);

  const lines = stderr.split('\n').filter((line) => line.startsWith('{'));
  const earlier = lines.filter((line) => (JSON.parse(line) as LogLine).time < secondRound);
  for (const { name, line } of attacks) {
    const logged = earlier.filter((each) => line.test(each)).map((each) => JSON.parse(each) as LogLine);
    // What comes again within seconds is counted, in one more line.
    expect(
      logged.filter(({ again }) => again === undefined),
      name,
    ).toHaveLength(1);
  }
  expect((await calm).code).toBe(0);
  const digest = (run: string) => readStateDigest(path.join(runs.run(run), 'checkpoints', 'epoch-0000'));
  expect(digest('attacked')).toBe(digest('calm'));
  expect(new Set(readMetrics(folder, 'worker-step').map(({ worker }) => worker))).toEqual(
    new Set(['worker-0', 'guest']),
  );
  expect(stderr).not.toContain(token);
}, 600_000);

/** A certificate of the run, for who holds a token. */
async function issuedTo(address: string, folder: string, hash: string): Promise<CertificateIdentity> {
  const { token, record } = makeToken({ lifetimeMs: 600_000, uses: 1 });
  await writeToken(path.join(folder, 'identity', 'tokens'), record);
  const { credentials } = await enrolAt(address, token, hash, 'mallory-4');
  return credentials.identity as CertificateIdentity;
}
