import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../support/images.js';
import {
  flipByte,
  listFiles,
  makeReaders,
  patience,
  readAll,
  sampleBytes,
  samples,
} from '../../support/shard-readers.js';

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
    await flipByte(first!, 3);
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
