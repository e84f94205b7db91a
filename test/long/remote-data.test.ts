import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { descendantsOf } from '../../bench/support/processes.js';
import { type JsonEvent, runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { startHttpRelay } from '../support/http-relay.js';
import { openPackedRuns, withServers } from '../support/packed-runs.js';
import { digestFolder } from '../support/packing.js';
import { readCommittedSteps } from '../support/run-files.js';
import { startGoServer, startPythonServer } from '../support/web-servers.js';

const perClass = 60;
/** Training images, four fifths of all, and what an epoch of steps of 20 takes. */
const images = 3 * perClass;
const on = openPackedRuns(perClass);
const { runs, packed, environmentOf, recipe, train, digestOf, samplesOf } = on;

withServers('a bucket that is packed into holds what the folder does', () => {
  const there = path.join(on.gateway.folder, 'photos', 'packed');
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
  balanced: () => ({ source: on.data, options: [], order: ['--order', 'class-balanced'] }),
};

function listDrawn() {
  return readdirSync(on.data).flatMap((name) =>
    readdirSync(path.join(on.data, name))
      .sort()
      .map((file) => ({ name, file: path.join(on.data, name, file) })),
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
    const digests = await digestFolder(path.join(on.gateway.folder, 'photos', layout));
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
  const web = await on.serve();
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
  await train('folder', on.data, 1);
  await train('shards', packed, 2);
  await train('web', web.url, 3);
  const relay = await startHttpRelay(await startGoServer(runs.root));
  onTestFinished(relay.close);
  relay.fault = disturb();
  await train('go', `${relay.url}/packed`, 2);
  await train('python', `${await startPythonServer(runs.root)}/packed`, 1);
  on.bucket.fault = disturb();
  await train('bucket', 's3://photos/packed', 4);
  on.bucket.fault = () => undefined;

  const names = ['folder', 'shards', 'web', 'go', 'python', 'bucket'];
  for (const name of names) {
    expect(samplesOf(name), name).toEqual(samplesOf('folder'));
    expect(digestOf(name), name).toBe(digestOf('folder'));
  }
});

withServers('a run from a bucket that is killed and resized fetches nothing twice', async () => {
  const name = 'killed';
  on.bucket.requests.length = 0;
  const killed = startCoordinator(recipe(name, 's3://photos/packed', 2), environmentOf(name));
  await killed.event(({ kind, epoch }) => kind === 'epoch' && epoch === 0);
  killed.kill('SIGKILL');
  await killed.exited;
  const ranges = () => on.bucket.requests.filter(({ path: asked }) => asked.endsWith('.tar'));
  const before = new Set(ranges().map(({ path: asked, range }) => `${asked} ${range}`));
  expect(before.size).toBe(images);
  const fetched = on.bucket.sent;
  const { code, stderr } = await runCoordinator(runs.resume(name, '--workers', '3'), environmentOf(name));
  expect(code, stderr).toBe(0);
  // Beside the index, nothing: all images were fetched in the first epoch.
  const { length } = readFileSync(path.join(packed, 'index.rondo'));
  expect(on.bucket.sent - fetched).toBe(length);
  expect(samplesOf(name)).toEqual(samplesOf('folder'));
  expect(digestOf(name)).toBe(digestOf('folder'));
});

withServers('a run whose worker is killed, and that is scaled meanwhile, reads on over HTTP', async () => {
  const options = ['--epochs', '8'];
  await train('eight-epochs', on.data, 1, ...options);
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
  await train('one-epoch', on.data, 1, ...options);
  const coordinator = startCoordinator(
    recipe(name, 's3://photos/packed', 1, ...options, '--checkpoint-steps', '1'),
    environmentOf(name),
  );
  await coordinator.event(({ kind, step }) => kind === 'step' && step === 2);
  coordinator.kill('SIGINT');
  await coordinator.exited;
  const consumed = new Set(readCommittedSteps(runs.run(name)).flatMap(({ shares }) => shares.flat()));
  // Another machine: nothing is cached.
  on.bucket.requests.length = 0;
  const { code, stderr } = await runCoordinator(runs.resume(name), environmentOf('elsewhere'));
  expect(code, stderr).toBe(0);
  expect(samplesOf(name)).toEqual(samplesOf('one-epoch'));
  expect(digestOf(name)).toBe(digestOf('one-epoch'));
  on.expectFetched(on.bucket, await on.leftOf(consumed));
});

withServers(
  'a bucket that goes away ends the run with the reason, and one that returns goes on',
  async () => {
    const name = 'away';
    const place = path.join(on.gateway.folder, 'photos');
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
  on.bucket.fault = ({ path: asked }) => {
    requests += asked.endsWith('.tar') ? 1 : 0;
    return requests > 50 ? { status: 400, body: '<Error><Code>ExpiredToken</Code></Error>' } : undefined;
  };
  const ended = await runCoordinator(recipe(name, 's3://photos/packed', 1), environmentOf(name));
  on.bucket.fault = () => undefined;
  expect(ended.code).not.toBe(0);
  expect(ended.stderr).toMatch(/the credentials for s3:\/\/photos\/packed\/images-\d+\.tar have expired/);
  const resumed = await runCoordinator(runs.resume(name), environmentOf(name));
  expect(resumed.code, resumed.stderr).toBe(0);
  expect(digestOf(name)).toBe(digestOf('folder'));
});
