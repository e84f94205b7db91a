import 'reflect-metadata';
import { createServer, type Server } from 'node:tls';
import { type ServiceError, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AskFlags, connectRun } from '../../../coordinator/cli/connect-run.js';
import {
  type ControlConnection,
  connectOperator,
  type RunControl,
} from '../../../coordinator/cluster/control.js';
import { guestService } from '../../../coordinator/cluster/enrolment-service.js';
import type { Operators } from '../../../coordinator/cluster/operators.js';
import { revokeToken, tokensFolder } from '../../../coordinator/run-store/join-tokens.js';
import { keepRunLog, type RunLogKeeper } from '../../../coordinator/terminal/run-log.js';
import { ControlClient } from '../../../proto/gen/control.js';
import type { RunStatus } from '../../../proto/run-status.js';
import { createAuthority, issuePair } from '../../../runtime/certificates.js';
import { anonymousProof } from '../../../runtime/grpc/certificate-credentials.js';
import { openChannel } from '../../../runtime/grpc/channel.js';
import { openGrpcServer } from '../../../runtime/grpc/server.js';
import { coordinatorName } from '../../../runtime/member-name.js';
import { closeCertifiedClusters, closeLater, openCertifiedCluster } from '../../support/certified-cluster.js';
import { type CertifiedRun, enrolAt } from '../../support/certified-run.js';
import type { ClusterFixture } from '../../support/cluster-fixture.js';
import { collect } from '../../support/collect.js';

let run: CertifiedRun;
let fixture: ClusterFixture;
let operators: Operators;
let log: RunLogKeeper;
let logged: Record<string, unknown>[];
let scaled: number[];

const runStatus: RunStatus = {
  ...{ runId: 'pets', phase: 'training', generation: 2, worldSize: 3, minWorkers: 1, maxWorkers: 4 },
  ...{ steps: 5, totalSteps: 9, epoch: 1, totalEpochs: 3, attempt: 1, stepsPerSecond: null, recoveries: 0 },
  members: [],
};

beforeEach(async () => {
  scaled = [];
  log = keepRunLog(() => 0);
  ({ run, fixture, operators, logged } = await openCertifiedCluster());
});
afterEach(closeCertifiedClusters);

const control = (): RunControl => ({
  log,
  status: () => runStatus,
  async scale(workers) {
    scaled.push(workers);
    return { starting: ['pod-3'], stopping: [] };
  },
});

/** As the commands connect, with these flags. */
async function ask(name: string | undefined, flags: Partial<AskFlags> = {}): Promise<ControlConnection> {
  const { address: coordinator } = fixture.cluster;
  const given = { runDir: '/nowhere', coordinator, caHash: [run.authority.hash], ...flags };
  const connection = await connectRun(name, given, {});
  closeLater(() => connection.close());
  return connection;
}

const never = new AbortController().signal;
const operatorToken = () => run.createToken({ role: 'operator' });

describe('an operator on another machine', () => {
  it('asks the run, scales it and reads what it has said, by a token of its own', async () => {
    operators.serve(control());
    log.hear({ kind: 'note', text: 'first' });
    log.hear({ kind: 'warning', text: 'second' });
    const connection = await ask('pets', { token: await operatorToken() });
    expect(await connection.status()).toEqual(runStatus);
    expect(await connection.scale(4)).toEqual({ starting: ['pod-3'], stopping: [] });
    expect(scaled).toEqual([4]);
    const read = (o: { tail?: number; json?: boolean }) =>
      collect(connection.readLog({ follow: false, tail: 0, json: false, ...o }, never));
    expect(await read({})).toEqual(['first', 'warning: second']);
    expect(await read({ tail: 1 })).toEqual(['warning: second']);
    expect(await read({ json: true, tail: 1 })).toEqual(['{"kind":"warning","text":"second"}']);
    expect(logged).toEqual([]);
  });

  it('follows what the run says to its end, and is told no token to join with', async () => {
    operators.serve(control());
    const connection = await ask(undefined, { token: await operatorToken() });
    const joining = { token: 'abc123.secret', hash: run.authority.hash };
    const waiting = { address: 'a:1', tokenFile: null, insecure: false, workers: 2, localWorkers: 0 };
    log.hear({ kind: 'waiting', joining, ...waiting });
    const lines = [false, true].map((json) =>
      collect(connection.readLog({ follow: true, tail: 0, json }, never)),
    );
    await connection.status();
    for (let index = 0; index < 300; index += 1)
      log.hear({ kind: 'note', text: `${index} ${'x'.repeat(1_000)}` });
    log.end('the run is completed');
    const [texts, events] = (await Promise.all(lines)) as [string[], string[]];
    expect(texts[1]).toMatch(/worker join .*--token-file FILE --ca-hash/);
    expect(texts).toHaveLength(303);
    expect(texts.at(-1)).toBe('the run is completed');
    expect(JSON.parse(events.at(-1)!)).toEqual({ kind: 'ended', reason: 'the run is completed' });
    expect([...texts, ...events].join()).not.toContain('secret');
  });

  it('is told when the coordinator is gone', async () => {
    operators.serve(control());
    const connection = await ask(undefined, { token: await operatorToken() });
    const said = collect(connection.readLog({ follow: true, tail: 0, json: false }, never));
    await connection.status();
    fixture.cluster.destroy();
    await expect(said).rejects.toMatchObject({ code: 'unavailable' });
    await expect(connection.status()).rejects.toMatchObject({
      ...{ code: 'unavailable', message: expect.stringMatching(/does not answer/) },
      remedy: expect.stringMatching(/a tunnel ends with what it leads to/),
    });
  });

  it('is not told of another run than the one that is named', async () => {
    operators.serve(control());
    const refused = ask('dogs', { token: await operatorToken() });
    await expect(refused).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/is pets, not dogs/),
    });
  });

  it('is asked to wait while the run is not there yet', async () => {
    const connection = await ask(undefined, { token: await operatorToken() });
    await expect(connection.status()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/still starting/),
    });
    expect(logged).toEqual([]);
  });

  it('keeps its connection, on which it may say nothing for long', async () => {
    const { authority, authorityPem } = run;
    operators.serve(control());
    const server = await openGrpcServer('127.0.0.1:0', {
      ...{ credentials: authority.credentials, maxReceiveBytes: 1 << 10, register() {}, handshakeMs: 300 },
      anonymous: guestService(authority, operators),
    });
    closeLater(() => server.destroy());
    const connection = connectOperator(
      server.address,
      { authority: authorityPem, token: await operatorToken() },
      5_000,
    );
    closeLater(() => connection.close());
    await connection.status();
    const said = collect(connection.readLog({ follow: true, tail: 0, json: false }, never));
    await new Promise((resolve) => setTimeout(resolve, 700));
    log.end('over');
    expect(await said).toEqual(['over']);
    expect(logged).toEqual([]);
  });
});

describe('whoever holds no token of an operator', () => {
  /** How a question ends, with the one line that is logged of it. */
  async function refusal(token: string | null): Promise<string> {
    logged.length = 0;
    const channel = (peer: string) => anonymousProof(run.authorityPem, peer);
    const connection = token === null ? null : await ask(undefined, { token });
    const error = await (connection?.scale(1).catch((thrown: unknown) => thrown) ??
      new Promise<ServiceError | null>((resolve) => {
        const client = openChannel(ControlClient, fixture.cluster.address, {
          ...{ credentials: { channel }, peer: coordinatorName, maxReceiveBytes: 1 << 10 },
        });
        closeLater(() => client.close());
        client.scale({ workers: 1 }, resolve);
      }));
    expect(error).toMatchObject({ code: token === null ? status.UNAUTHENTICATED : 'unauthenticated' });
    // That a token was revoked has a line of its own, a second later.
    const refusals = () => logged.filter(({ event }) => event !== 'token revoked');
    await expect.poll(() => refusals().length).toBeGreaterThan(0);
    expect(refusals()).toMatchObject([{ event: 'call refused', call: '/rondo.control.v1.Control/Scale' }]);
    if (token !== null) expect(JSON.stringify(logged)).not.toContain(token.split('.')[1]);
    return refusals()[0]!.reason as string;
  }

  it('learns nothing and changes nothing, and leaves one line in the log each time', async () => {
    operators.serve(control());
    const revoked = await operatorToken();
    await revokeToken(tokensFolder(run.folder), revoked);
    const [id, secret] = (await operatorToken()).split('.') as [string, string];
    expect(await refusal(null)).toMatch(/carries no token/);
    expect(await refusal(await run.createToken())).toMatch(/is for workers to join with, and asks nothing/);
    expect(await refusal(revoked)).toMatch(/was revoked/);
    expect(await refusal(await run.createToken({ role: 'operator', lifetimeMs: -1 }))).toMatch(/has expired/);
    const almost = `${id}.${secret.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))}`;
    expect(await refusal(almost)).toMatch(/is not one of this run/);
    // The same refusal again is counted, and logged later.
    const unknown = await ask(undefined, { token: `zzzzzz.${secret}` });
    await expect(unknown.scale(1)).rejects.toThrow(/is not one of this run/);
    expect(scaled).toEqual([]);
  });

  it('does not join with one either', async () => {
    const joining = enrolAt(fixture.cluster.address, await operatorToken(), run.authority.hash);
    await expect(joining).rejects.toMatchObject({
      ...{ code: 'unauthenticated', message: 'the token is for an operator, and nobody joins with it' },
    });
    expect(logged.filter(({ event }) => event === 'call refused')).toHaveLength(1);
  });

  it('hears no more of the run once its token is revoked', async () => {
    operators.serve(control());
    const token = await operatorToken();
    const connection = await ask(undefined, { token });
    const said = collect(connection.readLog({ follow: true, tail: 0, json: false }, never));
    await connection.status();
    await revokeToken(tokensFolder(run.folder), token);
    await expect(said).rejects.toMatchObject({ code: 'unauthenticated', message: 'the token was revoked' });
    log.hear({ kind: 'note', text: 'unheard' });
  });
});

describe('the command of an operator', () => {
  it('sends its token to nobody but the coordinator that the hash names', async () => {
    const other = await createAuthority('Rondo run other');
    const pair = await issuePair(other, {
      name: coordinatorName,
      subject: 'coordinator',
      lifetimeMs: 60_000,
    });
    let received = '';
    const impostor: Server = createServer({ cert: pair.certificate + other.certificate, key: pair.key });
    impostor.on('secureConnection', (socket) =>
      socket.on('data', (bytes) => (received += bytes)).on('error', () => {}),
    );
    await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve));
    closeLater(() => impostor.close());
    const { port } = impostor.address() as { port: number };
    const token = await operatorToken();
    await expect(ask(undefined, { token, coordinator: `127.0.0.1:${port}` })).rejects.toMatchObject({
      code: 'unauthenticated',
      remedy: expect.stringMatching(/the token was not sent/),
    });
    expect(received).toBe('');
  });
});
