import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { openSampleReader } from '../../runtime/storage/sample-reader.js';
import { startFileServer } from '../support/file-server.js';
import { makeFolder, sha256 } from '../support/images.js';

const reader = new URL('../../dist/runtime/storage/sample-reader.js', import.meta.url).href;
const shard = randomBytes(400 * 512);
const shards = [{ name: 'a.tar', digest: sha256(shard) }];
const samples = Array.from({ length: 40 }, (_, index) => ({
  path: `${index}.jpg`,
  digest: sha256(shard.subarray(index * 5_120, index * 5_120 + 5_000)),
  range: { shard: 0, block: 10 * index, bytes: 5_000 },
}));

it.each([
  ['images', false],
  ['whole shards', true],
])(
  'a process that is killed while it fetches %s leaves nothing that stands in the way',
  async (_what, wholeShards) => {
    const server = await startFileServer({ '/a.tar': shard });
    const cache = { folder: path.join(await makeFolder(), 'objects'), maxBytes: 2 ** 30 };
    const script = `
    const { openSampleReader } = await import(${JSON.stringify(reader)});
    const { place, shards, samples, cache, wholeShards } = JSON.parse(process.argv[1]);
    const reader = openSampleReader(place, shards, { cache, wholeShards });
    reader.expect({ begun: [], now: [0], next: [] });
    await Promise.all(samples.map((sample) => reader.read(sample)));
    await reader.close();`;
    const request = JSON.stringify({ place: server.url, shards, samples, cache, wholeShards });
    for (const requests of wholeShards ? [1, 1, 1] : [1, 9, 17]) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script, request], {
        stdio: 'inherit',
      });
      const exited = once(child, 'exit');
      let seen = 0;
      server.fault = () => {
        seen += 1;
        if (seen === requests) setTimeout(() => child.kill('SIGKILL'), 5 * requests);
        // Never more than a part, so that it is killed in the middle.
        return seen < requests ? undefined : { stallAfter: wholeShards ? 30_000 : 2_000 };
      };
      const [code, signal] = await exited;
      expect([code, signal]).toEqual([null, 'SIGKILL']);
    }
    server.fault = () => undefined;
    const before = server.sent;
    const next = openSampleReader(server.url, shards, { cache, wholeShards });
    next.expect({ begun: [], now: [0], next: [] });
    const read = await Promise.all(samples.map((sample) => next.read(sample)));
    await next.close();
    expect(read.map(sha256)).toEqual(samples.map(({ digest }) => digest));
    // What had arrived whole is not fetched again.
    expect(server.sent - before).toBeLessThanOrEqual(wholeShards ? shard.length : samples.length * 5_000);
    for (const entry of await readdir(cache.folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/^[0-9a-f]{64}$/.test(entry.name)) continue;
      expect(sha256(await readFile(path.join(entry.parentPath, entry.name)))).toBe(entry.name);
    }
  },
);
