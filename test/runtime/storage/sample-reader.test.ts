import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSampleReader, type SampleReaderOptions } from '../../../runtime/storage/sample-reader.js';
import { type FileServer, startFileServer } from '../../support/file-server.js';
import { makeFolder, sha256 } from '../../support/images.js';
import { countDescriptors } from '../../support/open-files.js';

const shard = randomBytes(100 * 512);
const shards = [{ name: 'images-000000.tar', digest: sha256(shard) }];
/** Ten samples of 700 bytes and more, one after the other. */
const samples = Array.from({ length: 10 }, (_, index) => {
  const [block, bytes] = [10 * index, 700 + index];
  return {
    path: `a/${index}.jpg`,
    digest: sha256(shard.subarray(block * 512, block * 512 + bytes)),
    range: { shard: 0, block, bytes },
  };
});
const sampleBytes = samples.reduce((sum, { range }) => sum + range.bytes, 0);
const patience = { tries: 4, backoffMs: 1, maxBackoffMs: 5, stallMs: 2_000 };

async function makeReaders(maxBytes = 2 ** 20) {
  const server = await startFileServer({ '/packed/images-000000.tar': shard });
  const folder = path.join(await makeFolder(), 'objects');
  const open = (o: SampleReaderOptions = {}) =>
    openSampleReader(`${server.url}/packed`, shards, { patience, cache: { folder, maxBytes }, ...o });
  return { server, folder, open };
}

async function readAll(reader: ReturnType<typeof openSampleReader>): Promise<void> {
  const read = await Promise.all(samples.map((sample) => reader.read(sample)));
  expect(read.map(sha256)).toEqual(samples.map(({ digest }) => digest));
}

/** Every file in a folder and below, by path. */
async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

async function flipByte(file: string, at: number): Promise<void> {
  const bytes = await readFile(file);
  bytes[at]! ^= 1;
  await writeFile(file, bytes);
}

const wholeRequests = ({ requests }: FileServer) => requests.filter(({ sent }) => sent > 2_000);

describe('samples from a URL', () => {
  it('are fetched once, and not a byte beside them; then the cache has them', async () => {
    const { server, open } = await makeReaders();
    await readAll(open());
    expect(server.sent).toBe(sampleBytes);
    await server.close();
    await readAll(open());
    expect(server.requests).toHaveLength(samples.length);
  });

  it('are fetched again when the cache has another byte', async () => {
    const { server, folder, open } = await makeReaders();
    await readAll(open());
    const [first] = await listFiles(folder);
    const bytes = await readFile(first!);
    bytes[3]! ^= 1;
    await writeFile(first!, bytes);
    await readAll(open());
    expect(server.requests).toHaveLength(samples.length + 1);
    expect(sha256(await readFile(first!))).toBe(path.basename(first!));
  });

  it('are fetched again when another byte comes, and named when it comes again', async () => {
    const { server, folder, open } = await makeReaders();
    const wrong = { bytes: Buffer.alloc(700) };
    const faults = [wrong];
    server.fault = () => faults.shift();
    expect(sha256(await open().read(samples[0]!))).toBe(samples[0]!.digest);
    server.fault = () => wrong;
    await expect(
      open().read({ ...samples[1]!, range: { ...samples[1]!.range, bytes: 700 } }),
    ).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringMatching(/a\/1.jpg in http.*images-000000.tar is not what it was/),
    });
    expect(server.requests).toHaveLength(4);
    expect(await listFiles(folder)).toHaveLength(1);
  });

  it('leave nothing behind that a process was killed in the middle of', async () => {
    const { server, folder, open } = await makeReaders(4_000);
    await open().read(samples[0]!);
    const left = path.join(folder, 'tmp', 'left');
    await writeFile(left, 'half of a sample');
    const longAgo = new Date(Date.now() - 3_600_000);
    await utimes(left, longAgo, longAgo);
    const reader = open();
    await readAll(reader);
    await reader.close();
    const files = await listFiles(folder);
    expect(files).not.toContain(left);
    const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(4_000);
    expect(sizes.length).toBeGreaterThan(2);
    expect(server.sent).toBe(sampleBytes);
  });

  it('stay in the cache in the order in which they were used', async () => {
    const { folder, open } = await makeReaders(5 * 720);
    const reader = open();
    const fileOf = ({ digest }: { digest: string }) => path.join(folder, digest.slice(0, 2), digest);
    for (const [age, sample] of samples.slice(0, 5).entries()) {
      await reader.read(sample);
      const used = new Date(Date.now() - (10 - age) * 3_600_000);
      await utimes(fileOf(sample), used, used);
    }
    await reader.close();
    const later = open();
    await later.read(samples[0]!);
    await later.read(samples[5]!);
    await later.close();
    const kept = new Set(await listFiles(folder));
    expect(samples.slice(0, 6).map((sample) => kept.has(fileOf(sample)))).toEqual([
      ...[true, false, false, true, true, true],
    ]);
  });

  it('are kept again once somebody has removed the cache', async () => {
    const { server, folder, open } = await makeReaders();
    const reader = open();
    await readAll(reader);
    await rm(folder, { recursive: true });
    await readAll(reader);
    await reader.close();
    expect(server.sent).toBe(2 * sampleBytes);
    expect(await listFiles(folder)).toHaveLength(samples.length);
  });

  it('are never kept where the cache has no room', async () => {
    const { server, folder, open } = await makeReaders(0);
    await readAll(open());
    await readAll(open());
    expect(server.sent).toBe(2 * sampleBytes);
    await expect(stat(folder)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('a request that takes far longer than usual', () => {
  it('is sent once more, and the server sends nothing else twice', async () => {
    const { server, open } = await makeReaders(0);
    // Nothing but a second request ends the wait for one that is silent.
    const reader = open({ patience: { ...patience, stallMs: 600_000 } });
    const silent = new Set([31, 55]);
    let asked = 0;
    server.fault = () => (silent.has(asked++) ? { stallAfter: 100 } : undefined);
    const reads = 80;
    for (let read = 0; read < reads; read += 1) {
      const sample = samples[read % samples.length]!;
      expect(sha256(await reader.read(sample))).toBe(sample.digest);
    }
    await reader.close();
    const again = server.requests.length - reads;
    // One request of twenty and one more may be sent again, however slow the machine makes them look.
    expect(again).toBeGreaterThanOrEqual(silent.size);
    expect(again).toBeLessThanOrEqual(1 + 0.05 * (reads + 1));
    const largest = Math.max(...samples.map(({ range }) => range.bytes));
    const once = (reads / samples.length) * sampleBytes;
    expect(server.sent).toBeGreaterThanOrEqual(once);
    expect(server.sent - once).toBeLessThanOrEqual(again * largest);
  });
});

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
    const bytes = await readFile(file!);
    bytes[5]! ^= 1;
    await writeFile(file!, bytes);
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
    reader.expect([1]);
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
    server.files.set('/packed/images-000000.tar', randomBytes(shard.length));
    const reader = open({ wholeShards: true });
    await expect(reader.read(samples[0]!)).rejects.toMatchObject({
      code: expect.stringMatching(/data-loss|failed-precondition/),
    });
    await reader.close();
    expect(server.sent).toBeLessThanOrEqual(2 * shard.length + 1_400);
  });
});
