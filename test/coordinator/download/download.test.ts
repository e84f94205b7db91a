import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { bytes, expectWhole, setUp, sha256 } from '../../support/download-setting.js';

describe('a file that arrives at once', () => {
  it('is whole, alone in its folder, and its size was told before a byte of it', async () => {
    const setting = await setUp();
    expect(await setting.fetch()).toBe(setting.file);
    await expectWhole(setting);
    expect(setting.seen[0]).toEqual({ done: 0, total: bytes.length });
    expect(setting.seen.at(-1)).toEqual({ done: bytes.length, total: bytes.length });
    expect(setting.seen.map(({ done }) => done)).toEqual(
      setting.seen.map(({ done }) => done).sort((a, b) => a - b),
    );
    const { headers } = setting.server.requests[0]!;
    expect(headers).toMatchObject({ 'accept-encoding': 'identity' });
    expect(headers.range).toBeUndefined();
  });

  it('is not asked for again', async () => {
    const setting = await setUp();
    await setting.fetch();
    await setting.server.close();
    expect(await setting.fetch()).toBe(setting.file);
    expect(setting.server.requests).toHaveLength(1);
  });

  it('may come without a length', async () => {
    const setting = await setUp({ chunked: true });
    await setting.fetch();
    await expectWhole(setting);
    expect(setting.seen.at(-1)).toEqual({ done: bytes.length, total: 0 });
  });

  it('is fetched once by callers that want it at the same time', async () => {
    const setting = await setUp();
    expect(await Promise.all([1, 2, 3].map(() => setting.fetch()))).toEqual(Array(3).fill(setting.file));
    await expectWhole(setting);
    expect(setting.server.requests).toHaveLength(1);
  });
});

describe('bytes that are not the expected ones', () => {
  const md5 = createHash('md5').update(bytes).digest('hex');

  it.each([
    ['SHA-256', { sha256: 'ab'.repeat(32) }, `expected SHA-256 ${'ab'.repeat(32)}, found ${sha256}`],
    [
      'its beginning',
      { sha256: undefined, sha256Prefix: 'b627a593' },
      `begins with b627a593, found ${sha256}`,
    ],
    ['MD5', { md5: 'cd'.repeat(16) }, `expected MD5 ${'cd'.repeat(16)}, found ${md5}`],
  ])('are refused by %s, naming both digests, and removed', async (_, expected, words) => {
    const setting = await setUp();
    const failure = setting.fetch(expected);
    await expect(failure).rejects.toMatchObject({ code: 'data-loss' });
    await expect(failure).rejects.toThrow(words);
    expect(await readdir(path.dirname(setting.file))).toEqual([]);
  });

  it('are accepted by every kind of digest when right', async () => {
    const setting = await setUp();
    await setting.fetch({ md5, sha256Prefix: sha256.slice(0, 8), bytes: bytes.length });
    await expectWhole(setting);
  });

  it('are refused by their number before they are fetched', async () => {
    const setting = await setUp();
    const failure = setting.fetch({ bytes: 12 });
    await expect(failure).rejects.toMatchObject({ code: 'data-loss' });
    await expect(failure).rejects.toThrow(/has 300000 bytes, expected 12/);
    expect(setting.seen).toEqual([]);
  });

  it('are not overwritten where someone has put them, but named', async () => {
    const setting = await setUp();
    await setting.fetch();
    await writeFile(setting.file, 'something else');
    await expect(setting.fetch()).rejects.toMatchObject({
      code: 'data-loss',
      remedy: expect.stringContaining(`remove ${setting.file}`),
    });
    expect(await readFile(setting.file, 'utf8')).toBe('something else');
  });
});

describe('what cannot be done', () => {
  it('offline: says which file to put where, and takes it from there', async () => {
    const setting = await setUp();
    await setting.server.close();
    const url = `${setting.server.url}/a.bin`;
    await expect(setting.fetch()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/cannot reach .*ECONNREFUSED/),
      remedy: expect.stringMatching(new RegExp(`${url} .*put it at ${setting.file}`)),
    });
    await writeFile(setting.file, bytes);
    expect(await setting.fetch()).toBe(setting.file);
  });

  it.each([
    [404, 'not-found'],
    [403, 'permission-denied'],
    [400, 'unavailable'],
  ])('a server that answers %i is not asked twice', async (status, code) => {
    const setting = await setUp();
    setting.server.faults.push({ status });
    await expect(setting.fetch()).rejects.toMatchObject({
      code,
      remedy: expect.stringContaining(setting.file),
    });
    expect(setting.server.requests).toHaveLength(1);
  });

  it('a stop leaves a part that the next start goes on with', async () => {
    const setting = await setUp();
    const stop = new AbortController();
    setting.server.faults.push({ stallAfter: 120_000 });
    const failure = setting.fetch({
      signal: stop.signal,
      onProgress: ({ done }) => {
        if (done === 120_000) stop.abort();
      },
    });
    await expect(failure).rejects.toMatchObject({ code: 'cancelled' });
    expect((await readdir(path.dirname(setting.file))).sort()).toEqual(['a.bin.part', 'a.bin.part.json']);
    await setting.fetch();
    await expectWhole(setting);
    expect(setting.server.requests.at(-1)!.headers.range).toBe('bytes=120000-');
    expect(setting.seen[0]).toEqual({ done: 120_000, total: bytes.length });
  });

  it('a disk that is too small is found before the first byte', async () => {
    const setting = await setUp({ contentLength: 1e17 });
    await expect(setting.fetch()).rejects.toMatchObject({
      code: 'resource-exhausted',
      message: expect.stringMatching(/needs 100000000000.0 MB, but .* has room for/),
    });
    expect(setting.seen).toEqual([]);
  });

  it.skipIf(!existsSync('/dev/full'))('a disk that fills up is named, with its remedy', async () => {
    const setting = await setUp();
    await setting.fetch();
    const file = path.join(path.dirname(setting.file), 'b.bin');
    await symlink('/dev/full', `${file}.part`);
    await expect(setting.fetch({ file })).rejects.toMatchObject({
      code: 'resource-exhausted',
      message: expect.stringContaining('ENOSPC'),
      remedy: expect.stringContaining('make room'),
    });
  });

  it('a folder in the place of the file is named', async () => {
    const setting = await setUp();
    const file = path.dirname(await setting.fetch());
    await expect(setting.fetch({ file })).rejects.toMatchObject({ code: 'failed-precondition' });
  });
});
