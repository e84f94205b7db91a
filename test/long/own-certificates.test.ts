import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ServiceError } from '@grpc/grpc-js';
import { afterEach, expect, it } from 'vitest';
import { createAuthority, issuePair } from '../../runtime/certificates.js';
import { createDeferred } from '../../runtime/deferred.js';
import { certificateCredentials } from '../../runtime/grpc/certificate-credentials.js';
import { coordinatorName } from '../../runtime/member-name.js';
import { closeAttacks, register } from '../support/attack-connections.js';
import { runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { readMetrics, readStateDigest } from '../support/run-files.js';
import { openTinyRuns } from '../support/tiny-runs.js';
import { joinWorker } from '../support/worker-process.js';

afterEach(closeAttacks);

const runs = await openTinyRuns(50);
const { data } = runs;
const folder = mkdtempSync(path.join(runs.root, 'certificates-'));
const authority = await createAuthority('of the cluster');
/** Of the first certificates: time for processes to start on a machine that has other work. */
const firstMs = 75_000;
const recipe = ['--threads', '1', '--epochs', '3', '--size', '64'];
const [one, two, three, four] = ['one', 'two', 'three', 'four'].map(
  (id) => `${id}.workers.rondo.internal`,
) as [string, string, string, string];

/** Writes a certificate for `name` as cert-manager would, over the one before. Gives the options that name the files. */
async function issue(name: string, lifetimeMs = 600_000, by = authority): Promise<string[]> {
  const { certificate, key } = await issuePair(by, { name, subject: 'any', lifetimeMs });
  const texts = { ca: authority.certificate, cert: certificate, key };
  return Object.entries(texts).flatMap(([kind, text]) => {
    const file = path.join(folder, `${name}.${kind}`);
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
    return [`--tls-${kind}`, file];
  });
}

/** Sooner than a worker that says nothing is lost. */
const shortMs = 4_000;

/** Takes part by a certificate that it does not renew: how its session ends, once it has been welcomed. */
async function stayTooLong(address: string, name: string): Promise<ServiceError | null> {
  const { certificate, key } = await issuePair(authority, { name, subject: 'any', lifetimeMs: shortMs });
  const credentials = certificateCredentials({
    ...{ kind: 'certificate', authority: authority.certificate, certificate, key },
  });
  const welcomed = createDeferred<void>();
  const ended = register({ address }, credentials, name, welcomed.resolve);
  await Promise.race([welcomed.promise, ended.then(() => expect.fail('it was not welcomed'))]);
  return ended;
}

it('trains with certificates of an authority of its own, whose files are exchanged meanwhile', async () => {
  const environment = { RONDO_LOG: 'info' };
  const issuedAtMs = Date.now();
  const inputs = ['--listen', '127.0.0.1:0', '--workers', '2', '--min-workers', '2', '--max-workers', '3'];
  const coordinator = startCoordinator(
    runs.start('own', data, ...inputs, ...recipe, ...(await issue(coordinatorName, firstMs))),
    environment,
  );
  const { address } = await coordinator.event(({ kind }) => kind === 'waiting');
  const join = async (certificate: Promise<string[]>) =>
    joinWorker(address as string, { inputs: await certificate, environment });

  // One that another authority made a worker is refused, and no other notices.
  const stranger = await join(issue(three, firstMs, await createAuthority('another')));
  expect((await stranger.exited).code).not.toBe(0);

  const staying = await join(issue(one, firstMs));
  const leaving = await join(issue(two, firstMs));
  await coordinator.event(({ kind, step }) => kind === 'step' && step === 2);
  // Exchanged while gradients travel; with one worker left the run waits until the first ones have expired.
  await Promise.all([issue(coordinatorName), issue(one)]);
  const exchangedAtMs = Date.now();
  leaving.kill('SIGKILL');
  await staying.printed('certificate renewed');
  // And until the coordinator has looked at its files.
  const renewedAtMs = Math.max(issuedAtMs + firstMs, exchangedAtMs + 10_000) + 2_000;
  await new Promise((resolve) => setTimeout(resolve, renewedAtMs - Date.now()));
  expect(await stayTooLong(address as string, four)).toBeInstanceOf(Error);
  const joining = await join(issue(three));

  const { code, stderr, events } = await coordinator.exited;
  expect(code, stderr).toBe(0);
  expect(stderr).toContain('certificate renewed');
  expect(stderr).toMatch(/"connection refused".*certificate is refused: UNABLE_TO_VERIFY/);
  expect(stderr.match(/"certificate expired".*four\.workers/g), stderr).toHaveLength(1);
  expect(events.at(-1)).toMatchObject({ kind: 'summary', status: 'completed' });
  expect(await staying.exited).toMatchObject({ code: 0 });
  expect(await joining.exited).toMatchObject({ code: 0 });
  const publishers = new Set(readMetrics(runs.run('own'), 'worker-step').map(({ worker }) => worker));
  expect([...publishers].toSorted()).toEqual([one, three, two]);

  const alone = await runCoordinator(runs.start('alone', data, '--workers', '1', ...recipe));
  expect(alone.code, alone.stderr).toBe(0);
  const digestOf = (run: string) => readStateDigest(path.join(runs.run(run), 'checkpoints', 'epoch-0002'));
  expect(digestOf('own')).toBe(digestOf('alone'));
}, 600_000);
