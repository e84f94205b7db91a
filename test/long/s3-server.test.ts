import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { startVersitygw, type Versitygw, whyWithoutVersitygw } from '../../bench/support/versitygw.js';
import { indexImages } from '../../coordinator/dataset/dataset.js';
import { packImages } from '../../coordinator/pack/pack-images.js';
import { openBucket } from '../../runtime/storage/bucket.js';
import { type HttpRelay, startHttpRelay } from '../support/http-relay.js';
import { jpegBytes, makeFolder, writeFiles } from '../support/images.js';
import { digestFolder, packFolder, plainPack } from '../support/packing.js';

const patience = { tries: 4, backoffMs: 1, maxBackoffMs: 5, stallMs: 2_000 };
const never = new AbortController().signal;

describe.skipIf(whyWithoutVersitygw)('a real S3 server', () => {
  let gateway: Versitygw;
  let relay: HttpRelay;

  beforeAll(async () => {
    gateway = await startVersitygw('photos');
    relay = await startHttpRelay(gateway.url);
  });
  afterAll(async () => {
    await relay?.close();
    gateway?.close();
  });
  beforeEach(() => {
    for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined);
    for (const [name, value] of Object.entries(gateway.environment)) vi.stubEnv(name, value);
    vi.stubEnv('AWS_ENDPOINT_URL', relay.url);
    relay.requests.length = 0;
    relay.fault = () => undefined;
    return () => void vi.unstubAllEnvs();
  });

  const put = async (name: string, bytes: Buffer) => {
    const file = path.join(await makeFolder(), 'file');
    writeFileSync(file, bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const store = openBucket('s3://photos/put here', { patience });
    await store.put(name, { path: file, bytes: bytes.length, sha256 });
    return { store, sha256, bytes: bytes.length };
  };

  it('takes files whole and in parts, in spite of faults, and gives them back', async () => {
    for (const size of [0, 5_000, (70 << 20) + 3]) {
      let requests = 0;
      relay.fault = ({ method }) => {
        requests += 1;
        return method !== 'GET' && requests % 2 === 1 ? { status: 503 } : undefined;
      };
      const sent = randomBytes(size);
      const name = `a (${size})+ü.bin`;
      const { store, sha256, bytes } = await put(name, sent);
      expect(await store.describe(name)).toEqual({ bytes, sha256 });
      relay.fault = () => undefined;
      const found = size === 0 ? Buffer.alloc(0) : await store.read(name, null);
      expect(found.equals(sent)).toBe(true);
    }
    const parts = relay.requests.filter(({ method }) => method === 'PUT').length;
    // One of each small file and three of the large one, each twice.
    expect(parts).toBeGreaterThanOrEqual(5);
  });

  it('leaves nothing of a long file that is given up', async () => {
    relay.fault = ({ method, path: asked }) =>
      method === 'PUT' && asked.includes('lost') ? { status: 503 } : undefined;
    await expect(put('lost.bin', randomBytes(40 << 20))).rejects.toMatchObject({ code: 'unavailable' });
    expect(relay.requests.at(-1)).toMatchObject({ method: 'DELETE' });
    const store = openBucket('s3://photos/put here', { patience });
    await expect(store.describe('lost.bin')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('goes on at the byte where a fault was, and says what stays wrong', async () => {
    const shard = randomBytes(200_000);
    const { store } = await put('read.tar', shard);
    for (const fault of [
      { status: 503, headers: { 'retry-after': '0' } },
      { status: 429, headers: { 'retry-after': '0' } },
      { breakAfter: 70_000 },
      { truncateAfter: 70_000 },
      { stallAfter: 70_000 },
    ]) {
      const faults = [fault];
      relay.requests.length = 0;
      relay.fault = () => faults.shift();
      const got = await store.read('read.tar', { start: 1_000, end: 151_000 });
      expect(got.equals(shard.subarray(1_000, 151_000))).toBe(true);
      expect(relay.sent).toBe(150_000);
      expect(relay.requests.at(-1)!.range).toBe(`bytes=${'status' in fault ? 1_000 : 71_000}-150999`);
    }
    // Another file under the name, between the two halves.
    const other = randomBytes(200_000);
    relay.requests.length = 0;
    let gets = 0;
    relay.fault = async ({ method }) => {
      if (method !== 'GET') return undefined;
      gets += 1;
      if (gets === 1) return { breakAfter: 70_000 };
      if (gets === 2) await put('read.tar', other);
      return undefined;
    };
    const got = await store.read('read.tar', { start: 1_000, end: 151_000 });
    expect(got.equals(other.subarray(1_000, 151_000))).toBe(true);
    const ranges = relay.requests.filter(({ method }) => method === 'GET').map(({ range }) => range);
    expect(ranges).toEqual(['bytes=1000-150999', 'bytes=71000-150999', 'bytes=1000-150999']);
    relay.fault = () => undefined;
    await expect(store.read('gone.tar', null)).rejects.toMatchObject({ code: 'not-found' });
    await expect(openBucket('s3://nowhere/x', { patience }).read('a', null)).rejects.toMatchObject({
      message: expect.stringMatching(/there is no bucket nowhere/),
    });
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'wrong');
    await expect(openBucket('s3://photos', { patience }).read('a', null)).rejects.toMatchObject({
      code: 'permission-denied',
      message: expect.stringMatching(/SignatureDoesNotMatch/),
    });
  });

  it('takes a pack: the same bytes as a folder, gone on with where it was stopped', async () => {
    const data = path.join(await makeFolder(), 'photos');
    for (let at = 0; at < 60; at += 1) {
      await writeFiles(data, { [`${['red', 'green'][at % 2]}/${at}.jpg`]: await jpegBytes(at, 90, 70) });
    }
    const local = path.join(await makeFolder(), 'packed');
    const { shards } = await packFolder(data, local);
    expect(shards.length).toBeGreaterThan(2);
    const cacheDir = await makeFolder();
    const images = await indexImages({ data, cacheDir, onProgress() {}, signal: never });
    const pack = (signal = never) =>
      packImages({ ...plainPack, images, out: 's3://photos/packed', cacheDir, onProgress() {}, signal });
    const stop = new AbortController();
    relay.fault = ({ path: asked }) => {
      if (asked.endsWith('images-000001.tar')) stop.abort();
      return undefined;
    };
    await expect(pack(stop.signal)).rejects.toThrow();
    const putsOf = (name: string) =>
      relay.requests.filter(({ method, path: asked }) => method === 'PUT' && asked.endsWith(name)).length;
    relay.fault = () => undefined;
    expect((await pack()).found).toBeGreaterThanOrEqual(1);
    expect(putsOf('images-000000.tar')).toBe(1);
    expect(await digestFolder(path.join(gateway.folder, 'photos', 'packed'))).toEqual(
      await digestFolder(local),
    );
    // Once more: all of it is there.
    const before = relay.requests.filter(({ method }) => method === 'PUT').length;
    expect(await pack()).toMatchObject({ found: shards.length });
    expect(relay.requests.filter(({ method }) => method === 'PUT')).toHaveLength(before);
    const other = {
      ...plainPack,
      order: 'sorted' as const,
      images,
      cacheDir,
      onProgress() {},
      signal: never,
    };
    await expect(packImages({ ...other, out: 's3://photos/packed' })).rejects.toMatchObject({
      message: expect.stringMatching(/s3:\/\/photos\/packed holds a pack of --order shuffled/),
    });
  });
});
