import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { killCoordinators, runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { buildGoPrograms } from '../support/go-programs.js';
import { readStateDigest, readSummaryFile } from '../support/run-files.js';
import { type Cluster, type PortForward, startCluster } from './harness/cluster.js';
import { waitFor } from './harness/commands.js';
import { buildImages } from './harness/images.js';
import { nodeName } from './harness/place.js';
import { missingRequirements } from './harness/requirements.js';
import { openRelease } from './release.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const chart = path.join(here, '../../deploy/chart');
/** Long enough for all that happens meanwhile, much of which takes its time however fast steps are. */
const epochs = Number(process.env.RONDO_CLUSTER_EPOCHS ?? (availableParallelism() > 2 ? 13 : 7));
/** RONDO_CLUSTER_KEEP=1 leaves the cluster for a look; the next call removes it. */
const keeps = process.env.RONDO_CLUSTER_KEEP !== undefined;
/** RONDO_CLUSTER_IMAGES names a folder of images that are there already. */
const imagesGiven = process.env.RONDO_CLUSTER_IMAGES;

const namespace = 'training';
const began = Date.now();
const say = (what: string) =>
  process.stderr.write(`${((Date.now() - began) / 1_000).toFixed(0).padStart(5)} s  ${what}\n`);

let folder: string;
let cluster: Cluster;
let forward: PortForward | undefined;

beforeAll(async () => {
  const missing = await missingRequirements();
  if (missing !== null) throw new Error(`npm run test:cluster: ${missing}`);
  folder = mkdtempSync(path.join(tmpdir(), 'rondo-reference-'));
  const programs = await buildGoPrograms(path.join(here, 'programs'));
  say('programs are there');
  const images = imagesGiven ?? path.join(tmpdir(), 'rondo-cluster-images');
  if (imagesGiven === undefined) await buildImages(images, path.join(programs, 'coredns'));
  say('images are built');
  cluster = await startCluster({ programs, images });
  say('Kubernetes is up');
});

afterEach(async ({ task }) => {
  forward?.close();
  killCoordinators();
  if (task.result?.state !== 'fail') return;
  const look = (...args: string[]) =>
    cluster.kubectl(['--namespace', namespace, ...args]).catch((error: Error) => error.message);
  say(await look('get', 'pods,jobs,statefulsets'));
  say(await look('get', 'events', '--sort-by=.lastTimestamp'));
  say(await look('logs', 'pets-coordinator-0', '--tail=40'));
});

afterAll(async () => {
  if (!keeps) await cluster?.stop();
  rmSync(folder, { recursive: true, force: true });
});

it('trains to the bits of one machine while pods are killed, scaled, moved, drained and upgraded, and leaves nothing', async () => {
  const release = openRelease(cluster, 'pets', namespace);
  const { kubectl } = release;
  const helm = (verb: string, ...args: string[]) => cluster.helm([verb, ...args, '--namespace', namespace]);
  const values = ['--values', path.join(here, 'values.yaml'), '--set', `recipe.epochs=${epochs}`];
  await cluster.kubectl(['apply', '-f', '-'], restrictedNamespace());
  const clusterWide = () =>
    cluster.kubectl(['get', 'clusterrolebindings', '-l', 'app.kubernetes.io/instance=pets', '-o', 'name']);

  await helm('install', 'pets', chart, ...values, '--set', 'workers=2');
  await release.trainsOn(2);
  expect(new Set(await release.boughtCertificates())).toEqual(
    new Set((await release.workerPods()).map(({ uid }) => uid)),
  );
  expect(await clusterWide()).toContain('pets-coordinator-token-review');
  say('two workers train, which joined by the tokens of their pods');

  await helm('test', 'pets');
  const measured = await kubectl(['logs', '-l', 'app.kubernetes.io/component=test', '--tail=-1']);
  expect(measured.match(/^ok {6}/gm)).toHaveLength(14);
  await kubectl(['delete', 'job', 'pets-test', '--wait']);
  say('helm test: all that a run needs is there');

  // A person on a machine of their own, who may do nothing in the cluster but forward ports.
  const token = await release.inCoordinator(
    ...['coordinator', 'token', 'create', 'pets', '--for', 'operator', '--json'],
  );
  const operator = JSON.parse(token) as { token: string; hash: string };
  forward = await cluster.forwardPort(['-n', namespace, 'port-forward', 'svc/pets-coordinator', ':7070']);
  const proof = ['--coordinator', forward.address, '--token', operator.token, '--ca-hash', operator.hash];
  const status = await runCoordinator(['status', ...proof, '--json']);
  expect(status.events, status.stderr).toMatchObject([{ kind: 'status', runId: 'pets', worldSize: 2 }]);
  const logs = startCoordinator(['logs', 'pets', ...proof, '--follow', '--json']);
  await logs.event(({ kind }) => kind === 'step');
  say('a person elsewhere asks the run and follows it, by a port-forward and a token');

  const [killed] = await release.workerPods();
  await kubectl(['delete', 'pod', killed!.name, '--grace-period=0', '--force']);
  await waitFor('another pod', async () => {
    const pods = await release.workerPods();
    return pods.every(({ uid }) => uid !== killed!.uid) && pods.length === 2;
  });
  await release.trainsOn(2);
  await waitFor('progress in kubectl describe', async () => {
    const described = await kubectl(['describe', 'job', 'pets-workers']);
    const progress = [/rondo\/step: +\d+ of \d+/, /rondo\/loss: +\d/, /rondo\/eta: +\d{4}-/];
    const events = [/Normal +Training .* 2 workers train/, /Normal +GoingOn /];
    return [...progress, ...events].every((line) => line.test(described));
  });
  say('a worker pod was killed, and replaced; kubectl describe tells of it, and how far the run is');

  const suspend = (is: boolean) =>
    kubectl(['patch', 'job', 'pets-workers', '--patch', JSON.stringify({ spec: { suspend: is } })]);
  await suspend(true);
  await waitFor('no pod', async () => (await release.workerPods()).length === 0);
  await waitFor('the run to wait', async () =>
    (await release.inCoordinator('coordinator', 'status', 'pets')).includes('no worker is there'),
  );
  await suspend(false);
  await release.trainsOn(2);
  say('the Job was suspended, as by a queue, and resumed');

  await helm('upgrade', 'pets', chart, ...values, '--set', 'workers=3');
  await release.trainsOn(3);
  say('helm upgrade: three workers train');
  const scaled = await runCoordinator(['scale', 'pets', '2', ...proof, '--no-wait']);
  expect(scaled.code, scaled.stderr).toBe(0);
  await logs.event((event) => event.kind === 'recovered' && event.worldSize === 2);
  logs.kill('SIGINT');
  expect((await logs.exited).code).toBe(0);
  await release.trainsOn(2);
  const { spec } = JSON.parse(await kubectl(['get', 'job', 'pets-workers', '-o', 'json'])) as {
    spec: { parallelism: number; completions: number };
  };
  expect([spec.parallelism, spec.completions]).toEqual([2, 2]);
  say('coordinator scale through the port-forward: two workers train');

  await kubectl(['delete', 'pod', release.coordinator, '--wait']);
  await release.trainsOn(2);
  // It led to the pod that is gone; the token is as good as before.
  forward.close();
  forward = await cluster.forwardPort(['-n', namespace, 'port-forward', 'svc/pets-coordinator', ':7070']);
  proof[1] = forward.address;
  const again = await runCoordinator(['status', 'pets', ...proof]);
  expect(again.stdout, again.stderr).toMatch(/^run pets: /);
  say('the coordinator pod was deleted, and another took its place');

  await waitFor('the disruption budget to count both workers', async () => {
    const { status } = JSON.parse(await kubectl(['get', 'pdb', 'pets-workers', '-o', 'json'])) as {
      status: { currentHealthy: number; disruptionsAllowed: number };
    };
    return status.currentHealthy === 2 && status.disruptionsAllowed === 1;
  });
  // There is no other node: the budget keeps minWorkers, and the drain gives up.
  const drain = cluster.kubectl([
    ...['drain', nodeName, '--pod-selector=app.kubernetes.io/component=worker'],
    ...['--delete-emptydir-data', '--timeout=10s'],
  ]);
  await expect(drain).rejects.toThrow("as it would violate the pod's disruption budget");
  await release.trainsOn(1);
  await cluster.kubectl(['uncordon', nodeName]);
  await release.trainsOn(2);
  say('the node was drained of all workers but the one that the budget keeps, and taken into use again');

  const jobPods = (await release.workerPods()).map(({ name }) => name);
  await helm(
    ...(['upgrade', 'pets', chart] as const),
    ...[...values, '--set', 'workers=2,worker.kind=StatefulSet,join.method=token', '--force-conflicts'],
  );
  await kubectl(['rollout', 'status', 'statefulset/pets-coordinator', '--timeout=300s']);
  await release.trainsOn(2, 4);
  const pods = await release.workerPods();
  expect(pods.map(({ name }) => name).filter((name) => jobPods.includes(name))).toEqual([]);
  const { data } = JSON.parse(await kubectl(['get', 'secret', 'pets-token', '-o', 'json'])) as {
    data: { token: string };
  };
  const [tokenId] = Buffer.from(data.token, 'base64').toString().split('.');
  expect((await release.boughtCertificates()).slice(-pods.length)).toEqual(pods.map(() => tokenId));
  expect(await clusterWide()).toBe('');
  say(
    'helm upgrade: another coordinator pod, and a StatefulSet of workers, which join by a Secret, in place of the Job',
  );

  for (const replicas of [3, 2]) {
    await kubectl(['scale', 'statefulset/pets-workers', `--replicas=${replicas}`]);
    const steps = await release.trainsOn(replicas);
    say(`kubectl scale: ${replicas} workers train, after ${steps} steps`);
  }

  const summary = await release.ended();
  expect(summary).toMatchObject({ status: 'completed' });
  await waitFor('no pod of workers', async () => (await release.workerPods()).length === 0);
  const ended = JSON.parse(await kubectl(['get', 'statefulset', 'pets-workers', '-o', 'json'])) as {
    metadata: { annotations: Record<string, string> };
    spec: { replicas: number };
  };
  expect(ended.spec.replicas).toBe(0);
  expect(ended.metadata.annotations).toMatchObject({ 'rondo/run': 'pets', 'rondo/status': 'completed' });
  expect(summary.epochs.at(-1)!.error_rate).toBeLessThan(0.1);
  say(`the run is over, after ${summary.steps} steps`);
  await release.inCoordinator('coordinator', 'verify-run', 'pets');
  const digest = await release.stateDigest(epochs - 1);

  await helm('uninstall', 'pets', '--wait');
  const left = await waitFor('nothing but the volume', async () => {
    const kinds =
      'all,configmaps,secrets,roles,rolebindings,serviceaccounts,networkpolicies,poddisruptionbudgets,persistentvolumeclaims';
    const names = (await kubectl(['get', kinds, '-o', 'name'])).split('\n').filter((name) => name !== '');
    const own = names.filter(
      (name) => !['configmap/kube-root-ca.crt', 'serviceaccount/default'].includes(name),
    );
    return own.length <= 1 ? own : undefined;
  });
  expect(left).toEqual(['persistentvolumeclaim/rondo-pets-coordinator-0']);
  expect(await clusterWide()).toBe('');
  if (!keeps) await cluster.stop();
  say('uninstalled: nothing is left but the volume');

  const alone = await runCoordinator([
    ...['start', '--workers', '2', '--threads', '1', '--epochs', `${epochs}`, '--name', 'alone', '--json'],
    ...['--run-dir', folder],
  ]);
  expect(alone.code, alone.stderr).toBe(0);
  say('the same run is over on one machine');
  const run = path.join(folder, 'alone');
  expect(readSummaryFile(run).status).toBe('completed');
  expect(digest).toBe(
    readStateDigest(path.join(run, 'checkpoints', `epoch-${String(epochs - 1).padStart(4, '0')}`)),
  );
});

function restrictedNamespace(): string {
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  return JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } });
}
