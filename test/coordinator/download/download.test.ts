import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type DownloadOptions,
  type DownloadProgress,
  downloadFile,
} from '../../../coordinator/download/download.js';
import { tryLock } from '../../../runtime/file-lock.js';
import { type HttpServer, type ServedFile, startHttpServer } from '../../support/http-server.js';
import { makeFolder } from '../../support/images.js';

const retry = { tries: 3, backoffMs: 1, stallMs: 20_000 };
const bytes = randomBytes(300_000);
const sha256 = createHash('sha256').update(bytes).digest('hex');

interface Setting {
  server: HttpServer;
  file: string;
  seen: DownloadProgress[];
  fetch(options?: Partial<DownloadOptions>): Promise<string>;
  /** The next requests' connections are cut when the file has got so far. */
  cutAt(...positions: number[]): void;
}

async function setUp(served: Partial<ServedFile> = {}): Promise<Setting> {
  const server = await startHttpServer({ '/a.bin': { bytes, ...served } });
  const file = path.join(await makeFolder(), 'deep', 'a.bin');
  const seen: DownloadProgress[] = [];
  const awaited: { position: number; resolve: () => void }[] = [];
  const onProgress = (progress: DownloadProgress) => {
    seen.push(progress);
    for (const { position, resolve } of awaited) if (progress.done >= position) resolve();
  };
  const cutAt = (...positions: number[]) => {
    let start = 0;
    for (const position of positions) {
      const breakWhen = new Promise<void>((resolve) => awaited.push({ position, resolve }));
      server.faults.push({ breakAfter: position - start, breakWhen });
      start = position;
    }
  };
  const fetch = (options: Partial<DownloadOptions> = {}) =>
    downloadFile({
      url: `${server.url}/a.bin`,
      file,
      sha256,
      retry,
      signal: new AbortController().signal,
      onProgress,
      ...options,
    });
  return { server, file, seen, fetch, cutAt };
}

async function expectWhole({ file }: Setting): Promise<void> {
  expect((await readFile(file)).equals(bytes)).toBe(true);
  expect(await readdir(path.dirname(file))).toEqual(['a.bin']);
}

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

describe('a broken connection', () => {
  it('costs nothing that has arrived: the next request asks for the rest of the same bytes', async () => {
    const setting = await setUp();
    setting.cutAt(100_000, 150_000);
    await setting.fetch();
    await expectWhole(setting);
    expect(
      setting.server.requests.map(({ headers, status }) => [headers.range, headers['if-range'], status]),
    ).toEqual([
      [undefined, undefined, 200],
      ['bytes=100000-', '"1"', 206],
      ['bytes=150000-', '"1"', 206],
    ]);
  });

  it('may happen more often than there are tries, as long as something arrives', async () => {
    const setting = await setUp();
    setting.cutAt(40_000, 80_000, 120_000, 160_000, 200_000, 240_000);
    await setting.fetch();
    await expectWhole(setting);
    expect(setting.server.requests).toHaveLength(7);
  });

  it('before the answer, a busy server and silence are tried again', async () => {
    const setting = await setUp();
    setting.server.faults.push({ status: 503 }, { stallAfter: 70_000 });
    await setting.fetch({ retry: { ...retry, stallMs: 300 } });
    await expectWhole(setting);
    expect(setting.server.requests.map(({ headers }) => headers.range)).toEqual([
      undefined,
      undefined,
      'bytes=70000-',
    ]);
  });

  it('starts over where the server ignores ranges', async () => {
    const setting = await setUp({ ignoresRange: true });
    setting.cutAt(100_000);
    await setting.fetch();
    await expectWhole(setting);
    expect(setting.server.requests.map(({ headers, status }) => [headers.range, status])).toEqual([
      [undefined, 200],
      ['bytes=100000-', 200],
    ]);
  });

  it('is given up after some tries that bring nothing, and what has arrived waits for the next start', async () => {
    const setting = await setUp();
    setting.cutAt(100_000, 100_000, 100_000, 100_000);
    const failure = setting.fetch();
    await expect(failure).rejects.toMatchObject({ code: 'unavailable' });
    await expect(failure).rejects.toThrow(/3 tries/);
    expect((await stat(`${setting.file}.part`)).size).toBe(100_000);
    await setting.fetch();
    await expectWhole(setting);
    expect(setting.server.requests.at(-1)!.headers.range).toBe('bytes=100000-');
  });
});

describe('a part from before', () => {
  async function interrupt(setting: Setting, position = 100_000): Promise<void> {
    setting.cutAt(position);
    setting.server.faults.push({ status: 404 });
    await expect(setting.fetch()).rejects.toMatchObject({ code: 'not-found' });
    expect((await stat(`${setting.file}.part`)).size).toBe(position);
  }

  it('of a file that has changed since is dropped', async () => {
    const setting = await setUp({ bytes: randomBytes(200_000), etag: '"old"' });
    await interrupt(setting);
    setting.server.files.set('/a.bin', { bytes, etag: '"new"' });
    await setting.fetch();
    await expectWhole(setting);
    const { headers, status } = setting.server.requests.at(-1)!;
    expect([headers['if-range'], status]).toEqual(['"old"', 200]);
  });

  it.each([
    ['only a weak ETag', { etag: 'W/"1"' }],
    ['no validator at all', { etag: null }],
  ])('is not gone on with when the server gave %s', async (_, served) => {
    const setting = await setUp(served);
    await interrupt(setting);
    await setting.fetch();
    await expectWhole(setting);
    expect(setting.server.requests.at(-1)!.headers.range).toBeUndefined();
  });

  it('is gone on with by its date when there is no ETag', async () => {
    const lastModified = 'Tue, 01 Jan 2019 00:00:00 GMT';
    const setting = await setUp({ etag: null, lastModified });
    await interrupt(setting);
    await setting.fetch();
    await expectWhole(setting);
    expect(setting.server.requests.at(-1)!.headers).toMatchObject({
      'if-range': lastModified,
      range: 'bytes=100000-',
    });
  });

  it('of unknown total that was whole already is recognised', async () => {
    const setting = await setUp({ chunked: true });
    await interrupt(setting, bytes.length);
    await setting.fetch();
    await expectWhole(setting);
    expect(setting.server.requests.at(-1)!.status).toBe(416);
  });

  it('that is whole needs no network', async () => {
    const setting = await setUp();
    await interrupt(setting);
    const notes = { url: `${setting.server.url}/a.bin`, validator: '"1"', total: bytes.length };
    await writeFile(`${setting.file}.part`, bytes);
    await writeFile(`${setting.file}.part.json`, JSON.stringify(notes));
    await setting.server.close();
    await setting.fetch();
    await expectWhole(setting);
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

describe('the lock of another process', () => {
  it('is taken over when that process has ended', async () => {
    const setting = await setUp();
    await setting.fetch();
    const file = path.join(path.dirname(setting.file), 'b.bin');
    // Above the largest pid that Linux gives.
    await writeFile(`${file}.lock`, JSON.stringify({ pid: 2 ** 30, host: hostname(), id: 'gone' }));
    await setting.fetch({ file });
    expect((await readFile(file)).equals(bytes)).toBe(true);
    expect(existsSync(`${file}.lock`)).toBe(false);
  });

  it('is respected while it is held, and what it has fetched is used', async () => {
    const setting = await setUp();
    await setting.fetch();
    const file = path.join(path.dirname(setting.file), 'b.bin');
    const release = tryLock(`${file}.lock`)!;
    await writeFile(`${file}.part`, bytes.subarray(0, 1000));
    const waited: DownloadProgress[] = [];
    const result = setting.fetch({
      file,
      bytes: bytes.length,
      onProgress: async (progress) => {
        waited.push(progress);
        if (waited.length < 3) return;
        await writeFile(file, bytes);
        release();
      },
    });
    expect(await result).toBe(file);
    expect(waited[0]).toEqual({ done: 1000, total: bytes.length });
    expect(setting.server.requests).toHaveLength(1);
  });
});
