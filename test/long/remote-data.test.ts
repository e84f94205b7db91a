import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it, onTestFinished } from 'vitest';
import { descendantsOf } from '../../bench/support/processes.js';
import { startVersitygw, type Versitygw, whyWithoutVersitygw } from '../../bench/support/versitygw.js';
import { openDataset } from '../../coordinator/dataset/dataset.js';
import type { Sample } from '../../runtime/storage/sample-columns.js';
import {
  type JsonEvent,
  killCoordinators,
  runCoordinator,
  startCoordinator,
} from '../support/coordinator-process.js';
import { startFileServer } from '../support/file-server.js';
import { hasGo } from '../support/go-programs.js';
import { type HttpRelay, startHttpRelay } from '../support/http-relay.js';
import { digestFolder, packFolder } from '../support/packing.js';
import { openQuickRuns } from '../support/quick-run.js';
import { readCommittedSteps, readSummaryFile } from '../support/run-files.js';
import { drawTinyFolder } from '../support/tiny-folder.js';
import { startGoServer, startPythonServer } from '../support/web-servers.js';
import { joinWorker, killWorkers } from '../support/worker-process.js';

const runs = openQuickRuns();
const never = new AbortController().signal;
const perClass = 60;
/** Training images, four fifths of all, and what an epoch of steps of 20 takes. */
const images = 3 * perClass;

let data: string;
let packed: string;
let gateway: Versitygw;
let bucket: HttpRelay;

beforeAll(async () => {
  if (whyWithoutVersitygw) return;
  data = await drawTinyFolder(perClass);
  packed = path.join(runs.root, 'packed');
  await packFolder(data, packed);
  gateway = await startVersitygw('photos');
  bucket = await startHttpRelay(gateway.url);
});
afterEach(() => {
  killCoordinators();
  killWorkers();
});
afterAll(async () => {
  await bucket?.close();
  gateway?.close();
  runs.remove();
  if (data) rmSync(data, { recursive: true, force: true });
});

const environmentOf = (name: string) => ({
  ...gateway.environment,
  AWS_ENDPOINT_URL: bucket.url,
  RONDO_CACHE: path.join(runs.root, `cache-${name}`),
});
const recipe = (name: string, from: string, workers: number, ...more: string[]) =>
  runs.start(name, from, '--epochs', '2', '--threads', '1', '--workers', String(workers), ...more);

async function train(name: string, from: string, workers: number, ...more: string[]): Promise<void> {
  const { code, stderr } = await runCoordinator(recipe(name, from, workers, ...more), environmentOf(name));
  expect(code, stderr).toBe(0);
}

const digestOf = (name: string) => readSummaryFile(runs.run(name)).parameterDigest;
/** The ids of each step that the run kept. */
const samplesOf = (name: string) => {
  const bySteps = new Map(
    readCommittedSteps(runs.run(name)).map(({ step, shares }) => [step, shares.flat()]),
  );
  return [...bySteps].sort(([a], [b]) => a - b);
};

const withServers = it.skipIf(whyWithoutVersitygw || !(await hasGo()));

withServers('a bucket is packed into, and holds what the folder does', async () => {
  const { code, stderr } = await runCoordinator(
    ['pack', data, '--out', 's3://photos/packed', '--shard-size', '64KiB'],
    environmentOf('pack'),
  );
  expect(code, stderr).toBe(0);
  const there = path.join(gateway.folder, 'photos', 'packed');
  const names = readdirSync(packed).filter((name) => !name.startsWith('.'));
  expect(readdirSync(there).sort()).toEqual(names.sort());
  for (const name of names)
    expect(readFileSync(path.join(there, name)).equals(readFileSync(path.join(packed, name)))).toBe(true);
});

/** The drawn images as other data sets lie, or in another order: DATA, its options, and the order of packing. */
const layouts = {
  table() {
    const folder = path.join(runs.root, 'flat');
    const rows = listDrawn().map(({ name, file }, index) => {
      const image = `${index}.jpg`;
      copyInto(file, path.join(folder, image));
      return `${image},${name},${index % 4 === 0 ? 'True' : 'False'}`;
    });
    const table = path.join(runs.root, 'labels.csv');
    writeFileSync(table, ['image,label,is_valid', ...rows].join('\n'));
    return { source: folder, options: ['--labels', table], order: [] };
  },
  imagenet() {
    const folder = path.join(runs.root, 'imagenet');
    for (const [index, { name, file }] of listDrawn().entries()) {
      const wnid = `n0144${name.length}764`;
      const place =
        index % 4 === 0
          ? path.join('val', wnid, `ILSVRC2012_val_${String(index).padStart(8, '0')}.JPEG`)
          : path.join('train', wnid, `${wnid}_${index}.JPEG`);
      copyInto(file, path.join(folder, place));
    }
    return { source: folder, options: [], order: [] };
  },
  balanced: () => ({ source: data, options: [], order: ['--order', 'class-balanced'] }),
};

function listDrawn() {
  return readdirSync(data).flatMap((name) =>
    readdirSync(path.join(data, name))
      .sort()
      .map((file) => ({ name, file: path.join(data, name, file) })),
  );
}

function copyInto(file: string, to: string): void {
  mkdirSync(path.dirname(to), { recursive: true });
  copyFileSync(file, to);
}

withServers.each(Object.keys(layouts) as (keyof typeof layouts)[])(
  'a bucket takes what a folder takes, trains and verifies as its source does: %s',
  async (layout) => {
    const { source, options, order } = layouts[layout]();
    const [folder, bucketUrl] = [path.join(runs.root, `packed-${layout}`), `s3://photos/${layout}`];
    for (const out of [folder, bucketUrl]) {
      const { code, stderr } = await runCoordinator(
        ['pack', source, ...options, ...order, '--out', out, '--shard-size', '64KiB'],
        environmentOf('pack'),
      );
      expect(code, stderr).toBe(0);
    }
    const digests = await digestFolder(path.join(gateway.folder, 'photos', layout));
    expect(digests).toEqual(await digestFolder(folder));
    expect(Object.keys(digests).filter((name) => name.endsWith('.tar')).length).toBeGreaterThan(2);

    await train(`${layout}-source`, source, 1, ...options);
    await train(`${layout}-bucket`, bucketUrl, 2);
    expect(samplesOf(`${layout}-bucket`)).toEqual(samplesOf(`${layout}-source`));
    expect(digestOf(`${layout}-bucket`)).toBe(digestOf(`${layout}-source`));
    for (const [run, place] of [
      [`${layout}-bucket`, bucketUrl],
      [`${layout}-source`, bucketUrl],
      [`${layout}-bucket`, folder],
    ] as const) {
      const verify = ['verify-run', runs.run(run), '--data', place, '--json'];
      const { code, stdout, stderr } = await runCoordinator(verify, environmentOf('verify'));
      expect(code, stderr).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ ok: true, images: { status: 'unchanged' } });
    }
  },
);

withServers('a run is the same from all sources, in any world, with faults on the way', async () => {
  const files = readdirSync(packed)
    .filter((name) => !name.startsWith('.'))
    .map((name) => [`/packed/${name}`, readFileSync(path.join(packed, name))] as const);
  const web = await startFileServer(Object.fromEntries(files));
  const faults = [
    { status: 503, headers: { 'retry-after': '0' } },
    { breakAfter: 100 },
    { truncateAfter: 50 },
    { status: 429, headers: { 'retry-after': '0' } },
    { bytes: Buffer.alloc(4_000) },
    { drip: { bytes: 50, everyMs: 5 } },
  ];
  /** Every fifth answer is another fault. */
  const disturb = () => {
    let requests = 0;
    return ({ method }: { readonly method: string }) => {
      requests += 1;
      return method === 'GET' && requests % 5 === 0 ? faults[(requests / 5) % faults.length] : undefined;
    };
  };
  web.fault = disturb();
  await train('folder', data, 1);
  await train('shards', packed, 2);
  await train('web', `${web.url}/packed`, 3);
  const relay = await startHttpRelay(await startGoServer(runs.root));
  onTestFinished(relay.close);
  relay.fault = disturb();
  await train('go', `${relay.url}/packed`, 2);
  await train('python', `${await startPythonServer(runs.root)}/packed`, 1);
  bucket.fault = disturb();
  await train('bucket', 's3://photos/packed', 4);
  bucket.fault = () => undefined;

  const names = ['folder', 'shards', 'web', 'go', 'python', 'bucket'];
  for (const name of names) {
    expect(samplesOf(name), name).toEqual(samplesOf('folder'));
    expect(digestOf(name), name).toBe(digestOf('folder'));
  }
});

withServers('a run from a bucket that is killed and resized fetches nothing twice', async () => {
  const name = 'killed';
  bucket.requests.length = 0;
  const killed = startCoordinator(recipe(name, 's3://photos/packed', 2), environmentOf(name));
  await killed.event(({ kind, epoch }) => kind === 'epoch' && epoch === 0);
  killed.kill('SIGKILL');
  await killed.exited;
  const ranges = () => bucket.requests.filter(({ path: asked }) => asked.endsWith('.tar'));
  const before = new Set(ranges().map(({ path: asked, range }) => `${asked} ${range}`));
  expect(before.size).toBe(images);
  const fetched = bucket.sent;
  const { code, stderr } = await runCoordinator(runs.resume(name, '--workers', '3'), environmentOf(name));
  expect(code, stderr).toBe(0);
  // Beside the index, nothing: all images were fetched in the first epoch.
  const { length } = readFileSync(path.join(packed, 'index.rondo'));
  expect(bucket.sent - fetched).toBe(length);
  expect(samplesOf(name)).toEqual(samplesOf('folder'));
  expect(digestOf(name)).toBe(digestOf('folder'));
});

withServers('a run whose worker is killed, and that is scaled meanwhile, reads on over HTTP', async () => {
  const options = ['--epochs', '8'];
  await train('eight-epochs', data, 1, ...options);
  const name = 'disturbed';
  const web = await startHttpRelay(await startGoServer(runs.root));
  onTestFinished(web.close);
  const coordinator = startCoordinator(
    recipe(name, `${web.url}/packed`, 2, '--max-workers', '3', ...options),
    environmentOf(name),
  );
  await coordinator.event(({ kind, step }) => kind === 'step' && step === 2);
  const workers = descendantsOf(coordinator.pid).filter(({ command }) => command.includes('main.js join'));
  expect(workers).toHaveLength(2);
  process.kill(workers[1]!.pid, 'SIGKILL');
  const causedBy = (how: string) => (event: JsonEvent) =>
    event.kind === 'recovered' && (event.causes as { kind: string }[]).some(({ kind }) => kind === how);
  await coordinator.event(causedBy('loss'));
  const scaled = await runCoordinator(['scale', name, '3', '--run-dir', runs.root, '--json']);
  expect(scaled.code, scaled.stderr).toBe(0);
  const { code, events, stderr } = await coordinator.exited;
  expect(code, stderr).toBe(0);
  expect(events.some(causedBy('join'))).toBe(true);
  expect(samplesOf(name)).toEqual(samplesOf('eight-epochs'));
  expect(digestOf(name)).toBe(digestOf('eight-epochs'));
  const asked = web.requests.filter(({ path: file }) => file.endsWith('.tar'));
  const distinct = new Set(asked.map(({ path: file, range }) => `${file} ${range}`));
  expect(distinct.size).toBe(images);
  // Twice: what was so slow that it was asked for again, and what the killed one had in hand, eight micro-batches.
  expect(asked.length - distinct.size).toBeLessThanOrEqual(3 * (1 + 0.05 * images) + 8 * 4);
});

withServers('a run that is resumed amid its epoch fetches only what it has not consumed', async () => {
  const name = 'amid';
  // The epoch is the last one: nothing comes after it.
  const options = ['--epochs', '1'];
  await train('one-epoch', data, 1, ...options);
  const coordinator = startCoordinator(
    recipe(name, 's3://photos/packed', 1, ...options, '--checkpoint-steps', '1'),
    environmentOf(name),
  );
  await coordinator.event(({ kind, step }) => kind === 'step' && step === 2);
  coordinator.kill('SIGINT');
  await coordinator.exited;
  const consumed = new Set(readCommittedSteps(runs.run(name)).flatMap(({ shares }) => shares.flat()));
  // Another machine: nothing is cached.
  bucket.requests.length = 0;
  const { code, stderr } = await runCoordinator(runs.resume(name), environmentOf('elsewhere'));
  expect(code, stderr).toBe(0);
  expect(samplesOf(name)).toEqual(samplesOf('one-epoch'));
  expect(digestOf(name)).toBe(digestOf('one-epoch'));
  expectFetched(bucket, await leftOf(consumed));
});

/** Of the images, those that training has left, and those to validate on. */
async function leftOf(consumed: ReadonlySet<number>, shuffleWindow = 0): Promise<readonly Sample[]> {
  const { dataset } = await openDataset({
    ...{ data: packed, cacheDir: path.join(runs.root, 'index'), onProgress() {}, signal: never },
    ...{ validPct: 0.2, split: 'auto', seed: 42, shuffleWindow },
  });
  expect(consumed.size).toBeGreaterThan(0);
  expect(consumed.size).toBeLessThan(dataset.train.length);
  return [...Array.from(dataset.train).filter((_, id) => !consumed.has(id)), ...dataset.valid];
}

/** That of the shards a server has sent these samples, each by itself, to the byte, and else the index. */
function expectFetched({ requests }: Pick<HttpRelay, 'requests'>, needed: readonly Sample[]): void {
  const asked = requests.filter(({ path: file, method }) => file.endsWith('.tar') && method === 'GET');
  const sent = new Map(asked.map(({ path: file, range, sent: bytes }) => [`${file} ${range}`, bytes]));
  const sum = (bytes: Iterable<number>) => [...bytes].reduce((total, each) => total + each, 0);
  expect(sum(sent.values())).toBe(sum(needed.map(({ range }) => range!.bytes)));
  expect(sent.size).toBe(needed.length);
  // Each once, but for answers so slow that they were asked for twice.
  expect(asked.length - sent.size).toBeLessThanOrEqual(2 + 0.05 * sent.size);
  const rest = requests.filter(({ path: file }) => !file.endsWith('.tar'));
  const index = readFileSync(path.join(packed, 'index.rondo')).length;
  expect(sum(rest.map(({ sent: bytes }) => bytes))).toBe(index);
}

/** Of a run by windows of shards; each of its steps' five micro-batches has a partition. */
const byWindows = (shards: number) => ['--shuffle-window', String(shards)];
const servePacked = () => {
  const names = readdirSync(packed).filter((name) => !name.startsWith('.'));
  return startFileServer(
    Object.fromEntries(names.map((name) => [`/${name}`, readFileSync(path.join(packed, name))])),
  );
};

withServers(
  'a run by windows of shards is the same from all sources, in any world, killed and resized',
  async () => {
    const windows = byWindows(5);
    await train('windows-shards', packed, 1, ...windows);
    await train('windows-web', (await servePacked()).url, 3, ...windows);
    await train('windows-bucket', 's3://photos/packed', 4, ...windows);
    const killed = startCoordinator(
      recipe('windows-killed', 's3://photos/packed', 2, ...windows),
      environmentOf('windows-killed'),
    );
    await killed.event(({ kind, step }) => kind === 'step' && step === 3);
    killed.kill('SIGKILL');
    await killed.exited;
    const resume = runs.resume('windows-killed', '--workers', '3');
    const { code, stderr } = await runCoordinator(resume, environmentOf('windows-killed'));
    expect(code, stderr).toBe(0);
    for (const name of ['windows-web', 'windows-bucket', 'windows-killed']) {
      expect(samplesOf(name), name).toEqual(samplesOf('windows-shards'));
      expect(digestOf(name), name).toBe(digestOf('windows-shards'));
    }
  },
);

withServers(
  'a run by windows of shards is the same on two, three and four machines, each with its own partitions',
  async () => {
    const name = 'windows-machines';
    const { url } = await servePacked();
    const onMachines = ['--local-workers', '0'];
    const start = recipe(name, url, 2, ...onMachines, '--checkpoint-steps', '1', ...byWindows(5));
    /** Whose workers have a name and a cache for each machine. */
    const open = async (command: readonly string[], world: number) => {
      const coordinator = startCoordinator(command, environmentOf(name));
      const waiting = await coordinator.event(({ kind }) => kind === 'waiting');
      const workers = Array.from({ length: world }, (_, index) => {
        const machine = `machine-${index}`;
        const environment = { ...environmentOf(machine), RONDO_HOST: machine };
        return joinWorker(waiting, { inputs: ['--id', `worker-${index}`], environment });
      });
      return { coordinator, workers };
    };
    for (const [world, until] of [
      [2, 2],
      [3, 5],
    ] as const) {
      const command = world === 2 ? start : runs.resume(name, '--workers', String(world), ...onMachines);
      const { coordinator } = await open(command, world);
      await coordinator.event(({ kind, step }) => kind === 'step' && Number(step) >= until);
      coordinator.kill('SIGINT');
      await coordinator.exited;
    }
    const last = await open(runs.resume(name, '--workers', '4', ...onMachines), 4);
    await last.coordinator.event(({ kind, step }) => kind === 'step' && Number(step) >= 9);
    last.workers[0]!.kill('SIGKILL');
    const { code, stderr } = await last.coordinator.exited;
    expect(code, stderr).toBe(0);

    expect(digestOf(name)).toBe(digestOf('windows-shards'));
    const steps = readCommittedSteps(runs.run(name));
    expect(steps.map(({ shares }) => shares.length).filter((n, at, all) => n !== all[at - 1])).toEqual([
      2, 3, 4, 3,
    ]);
    // In the order of their places in the step a rank's micro-batches are not neighbours.
    const planned = new Map(samplesOf('windows-shards'));
    const apart = steps.filter(({ step, shares }) => shares.flat().join() !== planned.get(step)!.join());
    expect(apart.length).toBeGreaterThan(steps.length / 2);
    const verified = await runCoordinator(['verify-run', runs.run(name), '--json'], environmentOf(name));
    expect(verified.code, verified.stderr).toBe(0);
  },
);

withServers(
  'a run by windows that is resumed amid its epoch fetches the bytes that it has not consumed',
  async () => {
    const name = 'windows-amid';
    // All shards are in a window, and the epoch is the last one: nothing comes after it.
    const options = [...byWindows(1_000), '--epochs', '1'];
    await train('windows-whole', packed, 1, ...options);
    const web = await servePacked();
    const coordinator = startCoordinator(
      recipe(name, web.url, 2, ...options, '--checkpoint-steps', '1'),
      environmentOf(name),
    );
    await coordinator.event(({ kind, step }) => kind === 'step' && step === 2);
    coordinator.kill('SIGINT');
    await coordinator.exited;
    const consumed = new Set(readCommittedSteps(runs.run(name)).flatMap(({ shares }) => shares.flat()));
    // Another machine: nothing is cached.
    web.requests.length = 0;
    const { code, stderr } = await runCoordinator(runs.resume(name), environmentOf('windows-elsewhere'));
    expect(code, stderr).toBe(0);
    expect(digestOf(name)).toBe(digestOf('windows-whole'));
    expectFetched(web, await leftOf(consumed, 1_000));
  },
);

withServers(
  'a bucket that goes away ends the run with the reason, and one that returns goes on',
  async () => {
    const name = 'away';
    const place = path.join(gateway.folder, 'photos');
    const coordinator = startCoordinator(recipe(name, 's3://photos/packed', 2), environmentOf(name));
    await coordinator.event(({ kind }) => kind === 'prepared');
    renameSync(place, `${place}.away`);
    const { code, stderr } = await coordinator.exited;
    renameSync(`${place}.away`, place);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/there is no bucket photos/);
    const resumed = await runCoordinator(runs.resume(name), environmentOf(name));
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(digestOf(name)).toBe(digestOf('folder'));
  },
);

withServers('credentials that expire amid a run end it with the reason, and new ones go on', async () => {
  const name = 'expired';
  let requests = 0;
  bucket.fault = ({ path: asked }) => {
    requests += asked.endsWith('.tar') ? 1 : 0;
    return requests > 50 ? { status: 400, body: '<Error><Code>ExpiredToken</Code></Error>' } : undefined;
  };
  const ended = await runCoordinator(recipe(name, 's3://photos/packed', 1), environmentOf(name));
  bucket.fault = () => undefined;
  expect(ended.code).not.toBe(0);
  expect(ended.stderr).toMatch(/the credentials for s3:\/\/photos\/packed\/images-\d+\.tar have expired/);
  const resumed = await runCoordinator(runs.resume(name), environmentOf(name));
  expect(resumed.code, resumed.stderr).toBe(0);
  expect(digestOf(name)).toBe(digestOf('folder'));
});
