import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ServiceError } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { connectRun } from '../../../coordinator/cli/connect-run.js';
import { openExternalAuthority } from '../../../coordinator/cluster/external-authority.js';
import { openAccess } from '../../../coordinator/cluster/run-access.js';
import { makeToken, tokensFolder, writeToken } from '../../../coordinator/run-store/join-tokens.js';
import { keepRunLog } from '../../../coordinator/terminal/run-log.js';
import { CoordinatorClient } from '../../../proto/gen/coordinator.js';
import { createAuthority, issuePair, type KeyPair } from '../../../runtime/certificates.js';
import { type CertificateFiles, readCertificateFiles } from '../../../runtime/grpc/certificate-files.js';
import { openChannel } from '../../../runtime/grpc/channel.js';
import { openCredentials } from '../../../runtime/grpc/open-credentials.js';
import { openLog } from '../../../runtime/log.js';
import { coordinatorName, isExternalName, workerName } from '../../../runtime/member-name.js';
import { readJoinProof } from '../../../worker/session/join-proof.js';
import { keepRead } from '../../../worker/session/renewal.js';
import { destroyFixtures, openFixture } from '../../support/cluster-fixture.js';
import { collect } from '../../support/collect.js';

const lookMs = 50;
let folder: string;
let authority: KeyPair;
let logged: { event: string; reason?: string; file?: string }[];
const closing: (() => void)[] = [];

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'rondo-tls-'));
  authority = await createAuthority('of the cluster');
  logged = [];
  const write = (text: string) => void logged.push(JSON.parse(text) as (typeof logged)[number]);
  openLog({ program: 'test', environment: { RONDO_LOG: 'info' }, write });
});
afterEach(() => {
  for (const close of closing.splice(0)) close();
  destroyFixtures();
  rmSync(folder, { recursive: true, force: true });
  openLog({ program: 'test', environment: {}, write() {} });
});

/** As cert-manager would write them; each file at once. */
async function issue(name: string, lifetimeMs = 600_000, by = authority): Promise<CertificateFiles> {
  const { certificate, key } = await issuePair(by, { name, subject: 'any', lifetimeMs });
  const texts = { ca: authority.certificate, cert: certificate, key };
  const files = Object.entries(texts).map(([kind, text]) => {
    const file = path.join(folder, `${name}.${kind}`);
    writeFileSync(`${file}.new`, text.trimEnd());
    renameSync(`${file}.new`, file);
    return [kind, file];
  });
  return Object.fromEntries(files) as CertificateFiles;
}

it('is asked by an operator with a token, whose authority is the user’s own too', async () => {
  const access = await openAccess({
    ...{ listen: '0.0.0.0:0', insecure: false, runId: 'mine', folder, tls: await issue(coordinatorName) },
  });
  closing.push(access.close);
  const log = keepRunLog(() => 0);
  log.hear({ kind: 'note', text: 'said' });
  access.operators!.serve({ log, status: () => expect.fail(), scale: () => expect.fail() });
  const { cluster } = await openFixture(1, {}, access);
  const { token, record } = makeToken({ lifetimeMs: 60_000, uses: null, role: 'operator' });
  await writeToken(tokensFolder(folder), record);
  const flags = { runDir: folder, coordinator: cluster.address, token, caHash: [access.authority!.hash] };
  const connection = await connectRun(undefined, flags, {});
  closing.push(connection.close);
  const request = { follow: false, tail: 0, json: false };
  expect(await collect(connection.readLog(request, new AbortController().signal))).toEqual(['said']);
});

const flagsOf = ({ ca, cert, key }: CertificateFiles) => ({
  ...{ coordinator: '10.0.0.1:7070', tlsCa: ca, tlsCert: cert, tlsKey: key },
});

async function openRun() {
  const external = openExternalAuthority(await issue(coordinatorName), lookMs);
  closing.push(external.close);
  const { credentials } = external;
  return {
    external,
    fixture: await openFixture(2, {}, { credentials, authority: external, silenceMs: 10_000 }),
  };
}

it('trains with workers that bring certificates, each as the worker that its certificate names', async () => {
  const { external, fixture } = await openRun();
  const changed = vi.fn();
  external.onChange(changed);
  const result = fixture.cluster.run({ step: 0, source: 'fresh' });
  const [one, two] = ['one', 'two'].map((id) => `${id}.workers.rondo.internal`) as [string, string];
  const credentialsOf = async (name: string) => {
    const proof = readJoinProof(flagsOf(await issue(name)), {});
    return openCredentials((proof as Extract<typeof proof, { kind: 'own-certificate' }>).own.identity);
  };
  const impostor = fixture.join(two, {
    credentials: await credentialsOf(one),
    peerAddress: '127.0.0.1:9000',
  });
  expect((await impostor.done).error?.details).toContain(`not that of worker ${two}`);
  for (const [index, name] of [one, two].entries()) {
    const peerAddress = `127.0.0.1:${9_001 + index}`;
    fixture.join(name, { credentials: await credentialsOf(name), peerAddress });
  }
  await expect(result).resolves.toMatchObject({ step: 6, stopped: false });
  expect(external.workerIds()).toEqual([one, two]);
  expect(changed).toHaveBeenCalledTimes(2);
  await expect(
    external.enrol({ token: 't', workerId: 'x', signingRequest: new Uint8Array(0) }),
  ).rejects.toThrow(/no tokens/);
});

it('refuses who has a certificate of the same authority for something else, and another authority’s', async () => {
  const { fixture } = await openRun();
  const askAs = async (files: CertificateFiles) => {
    const credentials = openCredentials(readCertificateFiles(files).identity);
    const client = openChannel(CoordinatorClient, fixture.cluster.address, {
      ...{ credentials, peer: coordinatorName, maxReceiveBytes: 1 << 20 },
    });
    closing.push(() => client.close());
    return new Promise((resolve) => {
      const call = client.fetchDataset({}).resume();
      call.on('error', ({ code }: ServiceError) => resolve(code)).on('end', () => resolve('answered'));
    });
  };
  expect(await askAs(await issue('one.workers.rondo.internal'))).toBe('answered');
  expect(await askAs(await issue('shop.example'))).not.toBe('answered');
  expect(await askAs(await issue('a.b.workers.rondo.internal'))).not.toBe('answered');
  const foreign = await createAuthority('another');
  expect(await askAs(await issue('two.workers.rondo.internal', 600_000, foreign))).not.toBe('answered');
  const refusals = logged.filter(({ event }) => event === 'connection refused');
  expect(refusals.map(({ reason }) => reason)).toEqual([
    expect.stringContaining('shop.example, which is no worker'),
    expect.stringContaining('a.b.workers.rondo.internal'),
    expect.stringContaining('certificate is refused'),
  ]);
});

it('takes up renewed files without a pause, and ends the session of who does not renew', async () => {
  const { external, fixture } = await openRun();
  const changed = vi.fn();
  external.onChange(changed);
  const names = ['kept', 'lost'].map((id) => `${id}.workers.rondo.internal`);
  const sessions = await Promise.all(
    names.map(async (name, index) => {
      const files = await issue(name, 6_000);
      const proof = readJoinProof(flagsOf(files), {});
      if (proof.kind !== 'own-certificate') throw new Error('not by its own certificate');
      const credentials = openCredentials(proof.own.identity);
      const onRenewed = vi.fn();
      const coordinator = fixture.cluster.address;
      closing.push(keepRead({ ...{ coordinator, proof, credentials, onRenewed }, lookMs }));
      return {
        files,
        onRenewed,
        worker: fixture.join(name, { credentials, peerAddress: `127.0.0.1:${9_001 + index}` }),
      };
    }),
  );
  const [kept, lost] = sessions as [(typeof sessions)[number], (typeof sessions)[number]];
  let ended = false;
  void kept.worker.done.then(() => {
    ended = true;
  });
  // What is being written is not taken up.
  writeFileSync(kept.files.cert, '-----BEGIN CERT');
  await expect
    .poll(() => logged)
    .toContainEqual(expect.objectContaining({ event: 'certificate not renewed' }));
  await issue(names[0]!);
  await issue(coordinatorName);
  await expect.poll(() => kept.onRenewed).toHaveBeenCalledTimes(1);
  expect((await lost.worker.done).error).not.toBeNull();
  expect(ended).toBe(false);
  expect(lost.onRenewed).not.toHaveBeenCalled();
  expect(logged).toContainEqual(expect.objectContaining({ event: 'certificate expired', name: names[1] }));
  // NATS hears of it, and of those that come back.
  expect(external.workerIds()).toEqual([names[0]]);
  const before = changed.mock.calls.length;
  await issue(names[1]!);
  await expect.poll(() => external.workerIds()).toEqual(names);
  expect(changed).toHaveBeenCalledTimes(before + 1);
});

it('says what is wrong with files', async () => {
  const good = await issue('one.workers.rondo.internal');
  const other = await issue('two.workers.rondo.internal');
  const late = await issue('three.workers.rondo.internal', -1_000);
  const noPem = path.join(folder, 'no.pem');
  writeFileSync(noPem, 'nothing');
  for (const [files, message] of [
    [{ ...good, key: other.key }, /two.*is not the key of .*one/],
    [late, /has expired/],
    [{ ...good, cert: noPem }, /no\.pem holds no certificate in PEM/],
    [{ ...good, key: noPem }, /no\.pem holds no private key/],
    [{ ...good, ca: path.join(folder, 'absent') }, /cannot be read: .*absent/],
  ] as const) {
    expect(() => readCertificateFiles(files)).toThrow(message);
  }
  expect(() => openExternalAuthority(good)).toThrow(/must name coordinator\.rondo\.internal/);
  const coordinators = await issue(coordinatorName);
  expect(() => readJoinProof(flagsOf(coordinators), {})).toThrow(/must name NAME\.workers\.rondo\.internal/);
  expect(() => readJoinProof({ ...flagsOf(good), tlsKey: undefined }, {})).toThrow(/go together/);
  expect(() => readJoinProof({ ...flagsOf(good), token: 'x' }, {})).toThrow(/goes with no token/);
});

it('gives no id that another kind of id is made into', () => {
  const external = 'one.workers.rondo.internal';
  expect(workerName(external)).toBe(external);
  for (const id of [
    coordinatorName,
    'workers.rondo.internal',
    '.workers.rondo.internal',
    'A.workers.rondo.internal',
  ]) {
    expect(isExternalName(id)).toBe(false);
    expect(workerName(id)).toMatch(/^w-[0-9a-f]{40}\.rondo\.internal$/);
  }
});
