import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { buildProgram } from '../../../coordinator/cli/program.js';
import { openDataset } from '../../../coordinator/dataset/dataset.js';
import { fakeRun } from '../../support/fake-run.js';
import { startFileServer } from '../../support/file-server.js';
import { makeFolder } from '../../support/images.js';
import { memoryOutput } from '../../support/memory-output.js';
import { packFolder } from '../../support/packing.js';
import { drawTinyFolder } from '../../support/tiny-folder.js';

const never = new AbortController().signal;

async function plan(...inputs: string[]): Promise<string[]> {
  const output = memoryOutput();
  const cacheDir = await makeFolder();
  const program = buildProgram({
    services: {
      ...fakeRun().services,
      openDataset: (options) => openDataset({ ...options, cacheDir }),
    },
    output,
    argv: ['node', 'coordinator'],
    openLifecycle: () => ({ signal: never, immediate: never, close() {} }),
    exit: (code) => expect(code).toBe(0),
  });
  await program.parseAsync(['node', 'coordinator', 'data', 'plan', ...inputs]);
  return output.lines();
}

it('compares orders, in all and for each machine', async () => {
  vi.stubEnv('RONDO_CACHE', await makeFolder());
  onTestFinished(() => void vi.unstubAllEnvs());
  const data = await drawTinyFolder(40);
  onTestFinished(() => rmSync(data, { recursive: true }));
  const packed = path.join(await makeFolder(), 'packed');
  const { shards } = await packFolder(data, packed, { shardBytes: 20 << 10 });
  expect(shards.length).toBeGreaterThan(16);
  const cut = ['--batch-size', '16', '--micro-batch', '4'];

  const table = await plan(packed, ...cut, '--machines', '2');
  expect(table[0]).toBe(
    `120 images in ${shards.length} shards, batches of 16 in micro-batches of 4, 2 machines`,
  );
  expect(table[1]!.split(/ {2,}/)).toEqual([
    ...['order', 'requests', 'MB', 'each MB', 'cache MB', 'USD', 'batch', 'micro', 'neighbours'],
  ]);
  expect(table.slice(2).map((line) => line.split(/ {2,}/)[0])).toEqual([
    ...['all at once', '--shuffle-window 1', '--shuffle-window 4', '--shuffle-window 16'],
  ]);

  // From a server it is the same, for which nothing but the index is sent.
  const files = readdirSync(packed).map(
    (name) => [`/packed/${name}`, readFileSync(path.join(packed, name))] as const,
  );
  const server = await startFileServer(Object.fromEntries(files));
  expect(await plan(`${server.url}/packed`, ...cut, '--machines', '2')).toEqual(table);
  const sent = server.requests.filter(({ sent: bytes }) => bytes > 0);
  expect(sent).toMatchObject([
    { path: '/packed/index.rondo', sent: statSync(path.join(packed, 'index.rondo')).size },
  ]);

  const costs = async (machines: number) => {
    const lines = await plan(packed, ...cut, '--shuffle-window', '4', '--machines', `${machines}`, '--json');
    return lines.map((line) => JSON.parse(line));
  };
  const [alone, two] = [(await costs(1))[1], (await costs(2))[1]];
  expect(alone).toMatchObject({
    kind: 'order',
    window: 4,
    machines: 1,
    microBatch: 4,
    shards: shards.length,
  });
  expect(alone.machineBytes).toBe(alone.bytes);
  // The two machines may have the three shards at borders of the four partitions in common.
  expect(two.requests - alone.requests).toBeLessThanOrEqual(3);
  expect(two.machineBytes).toBeLessThan(0.65 * alone.bytes);
  expect(two.cacheBytes).toBe(alone.cacheBytes / 2);
});
