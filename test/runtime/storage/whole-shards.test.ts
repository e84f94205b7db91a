import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSampleReader } from '../../../runtime/storage/sample-reader.js';
import type { FileServer } from '../../support/file-server.js';
import { sha256 } from '../../support/images.js';
import { countDescriptors } from '../../support/open-files.js';
import {
  flipByte,
  listFiles,
  makeReaders,
  patience,
  readAll,
  sampleBytes,
  samples,
  shard,
  shards,
} from '../../support/shard-readers.js';

const wholeRequests = ({ requests }: FileServer) => requests.filter(({ sent }) => sent > 2_000);

describe('a server that gives whole files only', () => {
  it('is asked for each shard once, by all readers of a machine together', async () => {
    const { server, open } = await makeReaders();
    server.ranges = false;
    const readers = [open(), open()];
    await Promise.all(readers.map(readAll));
    await Promise.all(readers.map((reader) => reader.close()));
    // Each learns by its first requests that there are no parts; what was on its way then is thrown away.
    expect(wholeRequests(server).length).toBeGreaterThan(0);
    const before = server.requests.length;
    await server.close();
    const third = open({ wholeShards: true });
    await readAll(third);
    await third.close();
    expect(server.requests).toHaveLength(before);
  });

  it('sends a shard anew when a byte of it changes while it is read', async () => {
    const { server, folder, open } = await makeReaders();
    server.ranges = false;
    const reader = open();
    await reader.read(samples[0]!);
    const [file] = await listFiles(folder);
    await flipByte(file!, samples[1]!.range.block * 512);
    const before = wholeRequests(server).length;
    await readAll(reader);
    await readAll(reader);
    await reader.close();
    expect(wholeRequests(server)).toHaveLength(before + 1);
    expect(sha256(await readFile(file!))).toBe(shards[0]!.digest);
  });

  it('is waited for when what has arrived of a shard is wrong', async () => {
    const { server, folder, open } = await makeReaders();
    server.ranges = false;
    const first = open();
    await first.read(samples[0]!);
    await first.close();
    await rm(folder, { recursive: true });

    const wrong = Buffer.from(shard);
    wrong[samples[1]!.range.block * 512]! ^= 1;
    const faults = [{ bytes: wrong, stallAfter: 40_000 }];
    server.fault = () => faults.shift();
    const reader = open({ wholeShards: true, patience: { ...patience, stallMs: 300 } });
    expect(sha256(await reader.read(samples[1]!))).toBe(samples[1]!.digest);
    await readAll(reader);
    await reader.close();
    expect((await listFiles(folder)).map((file) => path.basename(file))).toEqual([shards[0]!.digest]);
  });

  it('needs a cache', async () => {
    const { server, open } = await makeReaders(0);
    server.ranges = false;
    await expect(open().read(samples[0]!)).rejects.toMatchObject({
      code: 'failed-precondition',
      remedy: expect.stringMatching(/--cache-gib/),
    });
  });
});

describe('whole shards', () => {
  it('are those that are expected: of one that was begun what is left is read in parts, whatever is expected later', async () => {
    const { server, folder, open } = await makeReaders();
    const reader = open({ wholeShards: true, expected: null });
    reader.expect({ begun: [0], now: [], next: [] });
    for (const sample of samples.slice(4)) await reader.read(sample);
    reader.expect({ begun: [], now: [], next: [0] });
    await readAll(reader);
    await reader.close();
    expect(server.sent).toBe(sampleBytes);
    expect(server.requests).toHaveLength(samples.length);
    expect(await listFiles(folder)).toHaveLength(samples.length);
    // They are here, though not as a shard.
    const later = open({ wholeShards: true, expected: null });
    await readAll(later);
    await later.close();
    expect(server.sent).toBe(sampleBytes);
  });

  it('are read where they are in the cache though nobody expects them', async () => {
    const { server, open } = await makeReaders();
    const first = open({ wholeShards: true });
    await readAll(first);
    await expect.poll(() => server.sent).toBe(shard.length);
    await first.close();
    const second = open({ wholeShards: true, expected: null });
    second.expect({ begun: [0], now: [], next: [] });
    await readAll(second);
    await second.close();
    expect(server.sent).toBe(shard.length);
  });

  it('are gone on with, though they were begun, where a killed process left a part of them', async () => {
    const { server, folder, open } = await makeReaders();
    const { digest } = shards[0]!;
    await mkdir(path.join(folder, digest.slice(0, 2)), { recursive: true });
    await writeFile(path.join(folder, digest.slice(0, 2), `${digest}.part`), shard.subarray(0, 30_000));
    const reader = open({ wholeShards: true, expected: null });
    reader.expect({ begun: [0], now: [], next: [] });
    await readAll(reader);
    await expect.poll(() => server.sent).toBe(shard.length - 30_000);
    await reader.close();
  });

  it('are fetched once, and gone on with where a killed process left them', async () => {
    const { server, folder, open } = await makeReaders();
    const { digest } = shards[0]!;

    await mkdir(path.join(folder, digest.slice(0, 2)), { recursive: true });
    await writeFile(path.join(folder, digest.slice(0, 2), `${digest}.part`), shard.subarray(0, 30_000));
    await writeFile(path.join(folder, digest.slice(0, 2), `${digest}.lock`), 'of a process that was killed');
    const readers = [open({ wholeShards: true }), open({ wholeShards: true })];
    await Promise.all(readers.map(readAll));
    await Promise.all(readers.map((reader) => reader.close()));
    expect(server.requests.map(({ range, sent }) => [range, sent])).toEqual([
      ['bytes=30000-', shard.length - 30_000],
    ]);
    expect(await listFiles(folder)).toEqual([path.join(folder, digest.slice(0, 2), digest)]);
  });

  it('are fetched anew when what was left of them is something else', async () => {
    const { server, folder, open } = await makeReaders();
    const { digest } = shards[0]!;

    await mkdir(path.join(folder, digest.slice(0, 2)), { recursive: true });
    await writeFile(path.join(folder, digest.slice(0, 2), `${digest}.part`), Buffer.alloc(30_000));
    const reader = open({ wholeShards: true });
    await readAll(reader);
    await expect
      .poll(() => listFiles(folder).then((files) => files.map((file) => path.basename(file))))
      .toContain(digest);
    await reader.close();
    const whole = server.requests.filter(({ range }) => range === undefined);
    expect(whole.map(({ sent }) => sent)).toEqual([shard.length]);
    expect(sha256(await readFile(path.join(folder, digest.slice(0, 2), digest)))).toBe(digest);
  });

  it('whose cached bytes have changed give the sample from the server', async () => {
    const { server, folder, open } = await makeReaders();
    const first = open({ wholeShards: true });
    await readAll(first);
    await first.close();
    const [file] = await listFiles(folder);
    await flipByte(file!, 5);
    const before = server.sent;
    const second = open({ wholeShards: true });
    await readAll(second);
    await second.close();
    expect(server.sent - before).toBe(700);
  });

  it('are fetched anew when one in the cache is cut off', async () => {
    const { server, folder, open } = await makeReaders();
    const first = open({ wholeShards: true });
    await readAll(first);
    const [file] = await listFiles(folder);
    await truncate(file!, 1_000);
    await Promise.all([readAll(first), readAll(first)]);
    await first.close();
    expect(server.sent).toBe(2 * shard.length);
    expect(sha256(await readFile(file!))).toBe(shards[0]!.digest);
  });

  it('that make room for others take none on the disk', async () => {
    const { server, folder } = await makeReaders();
    const all = Array.from({ length: 6 }, (_, index) => {
      const bytes = randomBytes(100 * 512);
      server.files.set(`/packed/${index}.tar`, bytes);
      return { name: `${index}.tar`, digest: sha256(bytes), bytes };
    });
    const cache = { folder, maxBytes: 2.5 * shard.length };
    const reader = openSampleReader(`${server.url}/packed`, all, { patience, cache, wholeShards: true });
    reader.expect({ begun: [], now: all.map((_, index) => index), next: [] });
    for (const [index, { bytes }] of all.entries()) {
      const part = bytes.subarray(512, 1_536);
      const range = { shard: index, block: 1, bytes: part.length };
      expect(await reader.read({ path: `${index}`, digest: sha256(part), range })).toEqual(part);
    }
    const held = () => countDescriptors(folder) - 1;
    await expect.poll(held).toBeLessThanOrEqual(2);
    await reader.close();
    expect(countDescriptors(folder)).toBe(0);
  });

  it.each([
    ['', 2 * shard.length, true],
    [', unless the cache has no room for both', 2 * shard.length - 1, false],
  ])('that come next are fetched meanwhile%s', async (_, maxBytes, isFetched) => {
    const { server, folder } = await makeReaders();
    const second = randomBytes(shard.length);
    server.files.set('/packed/images-000001.tar', second);
    const both = [...shards, { name: 'images-000001.tar', digest: sha256(second) }];
    const cache = { folder, maxBytes };
    const reader = openSampleReader(`${server.url}/packed`, both, { patience, cache, wholeShards: true });
    reader.expect({ begun: [], now: [0], next: [1] });
    await readAll(reader);
    // What is fetched is known by now, and begins with the next sample that is read.
    await expect
      .poll(() => listFiles(folder).then((files) => files.map((file) => path.basename(file))))
      .toContain(both[0]!.digest);
    await readAll(reader);
    if (isFetched) {
      const names = () =>
        listFiles(folder).then((files) => files.map((file) => path.basename(file)).toSorted());
      await expect.poll(names).toEqual(both.map(({ digest }) => digest).toSorted());
    }
    const sent = server.sent;
    const bytes = await reader.read({
      path: 'b',
      digest: sha256(second.subarray(0, 900)),
      range: { shard: 1, block: 0, bytes: 900 },
    });
    expect(bytes).toEqual(second.subarray(0, 900));
    await reader.close();
    expect(server.sent - sent).toBe(isFetched ? 0 : shard.length);
  });

  it('that are not what their index says are named, once fetched twice', async () => {
    const { server, open } = await makeReaders();
    // Too short for the sample, so that it is waited for until all has come.
    server.files.set('/packed/images-000000.tar', randomBytes(30_000));
    const reader = open({ wholeShards: true });
    await expect(reader.read(samples[9]!)).rejects.toMatchObject({
      code: 'data-loss',
      message: expect.stringMatching(
        /images-000000\.tar is not what its index says, though .* fetched twice/,
      ),
    });
    await reader.close();
    expect(server.sent).toBe(2 * 30_000);
  });

  it('of which a sample is another are asked for it twice, and it is named with its shard', async () => {
    const { server, open } = await makeReaders();
    server.files.set('/packed/images-000000.tar', randomBytes(shard.length));
    // The shard is still on its way when the sample has arrived.
    server.fault = ({ range }) => (range === undefined ? { stallAfter: 40_000 } : undefined);
    const reader = open({ wholeShards: true });
    await expect(reader.read(samples[1]!)).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringMatching(/image a\/1\.jpg in \S+\/images-000000\.tar is not what it was/),
    });
    await reader.close();
    expect(server.requests.map(({ sent }) => sent)).toEqual([40_000, 701, 701]);
  });
});
