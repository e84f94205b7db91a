import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { startBucketServer } from '../support/bucket-server.js';
import { killCoordinators, runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { startFileServer } from '../support/file-server.js';
import { packFolder } from '../support/packing.js';
import { openQuickRuns } from '../support/quick-run.js';
import { readCommittedSteps, readSummaryFile } from '../support/run-files.js';
import { drawTinyFolder } from '../support/tiny-folder.js';

const runs = openQuickRuns();
afterEach(killCoordinators);
afterAll(() => runs.remove());

it('a run is the same from a folder, shards, HTTP with faults, without ranges, and S3, in any world, killed on the way', async () => {
  const data = await drawTinyFolder(60);
  const packed = path.join(runs.root, 'packed');
  await packFolder(data, packed);
  const files = readdirSync(packed)
    .filter((name) => !name.startsWith('.'))
    .map((name) => [`packed/${name}`, readFileSync(path.join(packed, name))] as const);
  const web = await startFileServer(Object.fromEntries(files.map(([name, bytes]) => [`/${name}`, bytes])));
  const plain = await startFileServer(Object.fromEntries(files.map(([name, bytes]) => [`/${name}`, bytes])));
  plain.ranges = false;
  const bucket = await startBucketServer('photos', Object.fromEntries(files));
  const aws = {
    ...{ AWS_ENDPOINT_URL: bucket.url, AWS_REGION: bucket.region, AWS_EC2_METADATA_DISABLED: 'true' },
    ...{ AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG' },
  };
  const faults = [
    { status: 503 },
    { breakAfter: 100 },
    { truncateAfter: 50 },
    { bytes: Buffer.alloc(4_000) },
  ];
  let requests = 0;
  web.fault = ({ method }) => {
    requests += 1;
    return method === 'GET' && requests % 5 === 0 ? faults[(requests / 5) % faults.length] : undefined;
  };

  const environmentOf = (name: string) => ({ ...aws, RONDO_CACHE: path.join(runs.root, `cache-${name}`) });
  const train = (name: string, from: string, workers: number) => [
    ...runs.start(name, from, '--epochs', '2', '--threads', '1', '--workers', String(workers)),
  ];
  const run = async (name: string, from: string, workers: number) => {
    const { code, stderr } = await runCoordinator(train(name, from, workers), environmentOf(name));
    expect([code, stderr]).toEqual([0, expect.any(String)]);
  };
  await run('folder', data, 1);
  await run('shards', packed, 2);
  await run('web', `${web.url}/packed`, 3);
  await run('plain', `${plain.url}/packed`, 1);
  // All of it ends in the middle of the second epoch, and goes on with what the cache holds then.
  const killed = startCoordinator(train('bucket', 's3://photos/packed', 2), environmentOf('bucket'));
  await killed.event(({ kind, epoch }) => kind === 'epoch' && epoch === 0);
  killed.kill('SIGKILL');
  await killed.exited;
  const before = bucket.sent;
  const { code } = await runCoordinator(runs.resume('bucket', '--workers', '1'), environmentOf('bucket'));
  expect(code).toBe(0);
  // Beside the index, nothing that was fetched in the first epoch is fetched again.
  const { length: indexBytes } = bucket.files.get('/photos/packed/index.rondo')!;
  expect(bucket.sent - before).toBeLessThanOrEqual(indexBytes + 1_000);

  const names = ['folder', 'shards', 'web', 'plain', 'bucket'];
  const digests = names.map((name) => readSummaryFile(runs.run(name)).parameterDigest);
  expect(new Set(digests).size, String(digests)).toBe(1);
  const samplesOf = (name: string) => {
    const bySteps = new Map(
      readCommittedSteps(runs.run(name)).map(({ step, shares }) => [step, shares.flat()]),
    );
    return [...bySteps].sort(([a], [b]) => a - b);
  };
  for (const name of names) expect(samplesOf(name), name).toEqual(samplesOf('folder'));
  rmSync(data, { recursive: true });
});
