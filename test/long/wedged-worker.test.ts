import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, openCluster } from '../../coordinator/cluster/cluster.js';
import { openData } from '../../coordinator/dataset/open-data.js';
import { workerEnvironment } from '../../coordinator/launch/worker-environment.js';
import type { ClusterListener, WorkerLoss } from '../../coordinator/membership/cluster-events.js';
import { ignoreAll } from '../../coordinator/run/run-task.js';
import type { Dataset } from '../../proto/dataset.js';
import { version } from '../../runtime/installation.js';
import { testCredentials, testToken } from '../support/credentials.js';
import { runConfig } from '../support/run-config.js';
import { drawTinyFolder } from '../support/tiny-folder.js';
import { joinWorker, killWorkers, type WorkerExit } from '../support/worker-process.js';

const wedge = new URL('../support/wedge-compute.mjs', import.meta.url).href;
const folder = mkdtempSync(path.join(tmpdir(), 'rondo-wedged-'));
const drawn: string[] = [];
let dataset: Dataset;
let cluster: Cluster | undefined;
const losses: WorkerLoss[] = [];
/** Of workers that hang: each takes 10 s to end, in which the next test goes on. */
const ends: Promise<WorkerExit>[] = [];

/** Images of each class. */
async function drawDataset(images: number): Promise<Dataset> {
  const data = await drawTinyFolder(images);
  drawn.push(data);
  const { signal } = new AbortController();
  const indexing = { validPct: 0.2, seed: 1, cacheDir: folder, onProgress: () => {}, signal };
  return (await openData({ data, ...indexing })).dataset;
}

beforeAll(async () => {
  dataset = await drawDataset(20);
});
afterEach(() => {
  cluster?.destroy();
  losses.length = 0;
});
afterAll(() => {
  killWorkers();
  for (const each of [...drawn, folder]) rmSync(each, { recursive: true, force: true });
});

async function openRun(
  worldSize: number,
  listener: Partial<ClusterListener> = {},
  data = dataset,
): Promise<Cluster> {
  cluster = await openCluster({
    ...{ listen: '127.0.0.1:0', credentials: testCredentials, worldSize, dataset: data, version },
    config: runConfig({
      classes: data.classes,
      trainCount: data.train.length,
      validCount: data.valid.length,
      datasetDigest: data.digest,
    }),
    welcome: { natsUrl: '', natsToken: '' },
    pretrainedPath: null,
    checkpoint: async function* () {},
    listener: {
      ...ignoreAll,
      workerLost: (loss) => losses.push(loss),
      ...listener,
    },
    stall: { floorMs: 5_000 },
  });
  return cluster;
}

/** As a person joins it: nobody kills it when the run is over. */
function join(id: string, environment: NodeJS.ProcessEnv = {}) {
  // Its own folder: what another test left there need not be read.
  const cacheDir = mkdtempSync(path.join(folder, 'cache-'));
  const worker = joinWorker(cluster!.address, {
    inputs: ['--id', id, '--cache-dir', cacheDir],
    environment: {
      ...workerEnvironment({}, { index: 0, threads: 1, gpus: [] }),
      ...{ RONDO_TOKEN: testToken, ...environment },
    },
    preload: wedge,
  });
  return { ...worker, hangs: () => worker.printed('the compute thread hangs') };
}

describe('a worker whose compute thread hangs in native code', () => {
  it('is named, and the others go on', async () => {
    const { run } = await openRun(2);
    const result = run({ step: 0, source: 'fresh' });
    join('worker-0');
    // Step 0 is summed twice, for nothing is known of its gradients' size: it is at the fifth call in step 3.
    const wedged = join('worker-1', { RONDO_TEST_WEDGE: 'apply', RONDO_TEST_WEDGE_AT: '4' });
    expect(await result).toMatchObject({ stopped: false, stateLost: false });
    expect(losses).toMatchObject([
      {
        workerId: 'worker-1',
        rank: 1,
        reason: expect.stringContaining('its compute thread is still at work'),
      },
    ]);
    ends.push(wedged.exited);
  });

  it('ends on SIGTERM', async () => {
    const { run } = await openRun(1);
    const result = run({ step: 0, source: 'fresh' });
    const wedged = join('worker-0', { RONDO_TEST_WEDGE: 'apply', RONDO_TEST_WEDGE_AT: '3' });
    await wedged.hangs();
    wedged.kill('SIGTERM');
    expect(await result).toMatchObject({ stateLost: true });
    ends.push(wedged.exited);
  });

  it('ends at once on a second SIGTERM', async () => {
    const { run } = await openRun(1);
    const result = run({ step: 0, source: 'fresh' });
    result.catch(() => {});
    const wedged = join('worker-0', { RONDO_TEST_WEDGE: 'open' });
    await wedged.hangs();
    wedged.kill('SIGTERM');
    // What comes within 300 ms of the first is the same Ctrl-C.
    await new Promise((resolve) => setTimeout(resolve, 500));
    wedged.kill('SIGTERM');
    const { code, signal, stderr } = await wedged.exited;
    // A signal may wake the thread: then nobody is left to kill, and the worker has left, or its run was over.
    expect(['SIGKILL', 130, 0]).toContain(signal ?? code);
    expect(stderr).not.toContain('did not end within');
  });
});

describe('a worker whose file system hangs', () => {
  it('is named', async () => {
    // More than is read ahead of the first steps.
    const many = await drawDataset(50);
    // Opening a pipe that nobody writes into never returns.
    const images = [...many.train, ...many.valid].map((sample) => path.join(many.root, sample.path));
    const { run } = await openRun(
      1,
      {
        stepCommitted({ step }) {
          // From the second step on it is known how long one takes.
          if (step !== 1) return;
          for (const image of images) rmSync(image);
          execFileSync('mkfifo', images);
        },
      },
      many,
    );
    const result = run({ step: 0, source: 'fresh' });
    result.catch(() => {});
    const { exited } = join('worker-0');
    expect(await result).toMatchObject({ stateLost: true });
    expect(losses).toMatchObject([{ reason: expect.stringContaining('it is still reading images') }]);
    ends.push(exited);
  });
});

it('a worker of which a thread hangs ends all the same', async () => {
  const killed = { signal: 'SIGKILL', stderr: expect.stringContaining('a thread did not end within 15 s') };
  expect(await Promise.all(ends)).toMatchObject([killed, killed, killed]);
});
