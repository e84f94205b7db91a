import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { openSampleReader } from '../../runtime/storage/sample-reader.js';
import { startFileServer } from '../support/file-server.js';
import { makeFolder, sha256 } from '../support/images.js';
import { listFiles } from '../support/shard-readers.js';

const reader = new URL('../../dist/runtime/storage/sample-reader.js', import.meta.url).href;
const killer = new URL('../support/kill-at-file.mjs', import.meta.url).href;
const shard = randomBytes(400 * 512);
const shards = [{ name: 'a.tar', digest: sha256(shard) }];
const samples = Array.from({ length: 40 }, (_, index) => ({
  path: `${index}.jpg`,
  digest: sha256(shard.subarray(index * 5_120, index * 5_120 + 5_000)),
  range: { shard: 0, block: 10 * index, bytes: 5_000 },
}));

const script = `
const { openSampleReader } = await import(${JSON.stringify(reader)});
const { place, shards, samples, cache, wholeShards } = JSON.parse(process.argv[1]);
const reader = openSampleReader(place, shards, { cache, wholeShards });
reader.expect({ begun: [], now: [0], next: [] });
await Promise.all(samples.map((sample) => reader.read(sample)));
await reader.close();`;

/** At which calls a process is killed, and how many bytes have arrived by then; null: some, and not all. */
const images = [
  ['rename before 1', 0],
  ['rename after 9', 9 * 5_000],
  ['rename after 17', 17 * 5_000],
  ['rename after 40', 40 * 5_000],
] as const;
const whole = [
  ['write after 1', null],
  ['rename before 1', shard.length],
  ['rename after 1', shard.length],
  ['rmSync before 1', shard.length],
] as const;

it.each([
  ...images.map((each) => ['images', ...each] as const),
  ...whole.map((each) => ['whole shards', ...each] as const),
])(
  'what a process has fetched of %s until it is killed is not fetched again: %s',
  async (what, kill, bytes) => {
    const server = await startFileServer({ '/a.tar': shard });
    const cache = { folder: path.join(await makeFolder(), 'objects'), maxBytes: 2 ** 30 };
    const wholeShards = what === 'whole shards';
    const request = JSON.stringify({ place: server.url, shards, samples, cache, wholeShards });
    const inputs = ['--import', killer, '--input-type=module', '-e', script, request];
    const env = { ...process.env, RONDO_TEST_KILL: kill };
    const [code, signal] = await once(spawn(process.execPath, inputs, { stdio: 'inherit', env }), 'exit');
    expect([code, signal]).toEqual([null, 'SIGKILL']);

    let arrived = 0;
    for (const file of await listFiles(cache.folder)) {
      if (!/^[0-9a-f]{64}(\.part)?$/.test(path.basename(file))) continue;
      const there = await readFile(file);
      if (!file.endsWith('.part')) expect(sha256(there)).toBe(path.basename(file));
      arrived += there.length;
    }
    const all = wholeShards ? shard.length : samples.length * 5_000;
    if (bytes !== null) expect(arrived).toBe(bytes);
    else expect([arrived > 0, arrived < all]).toEqual([true, true]);

    server.requests.length = 0;
    const next = openSampleReader(server.url, shards, { cache, wholeShards });
    next.expect({ begun: [], now: [0], next: [] });
    const read = await Promise.all(samples.map((sample) => next.read(sample)));
    await next.close();
    expect(read.map(sha256)).toEqual(samples.map(({ digest }) => digest));
    // What is slow under load may be asked for twice, and counts once.
    const sent = new Map(server.requests.map(({ range, sent: count }) => [range, count]));
    expect([...sent.values()].reduce((sum, count) => sum + count, 0)).toBe(all - arrived);
    for (const file of await listFiles(cache.folder)) {
      if (/^[0-9a-f]{64}$/.test(path.basename(file))) {
        expect(sha256(await readFile(file))).toBe(path.basename(file));
      }
    }
  },
);
