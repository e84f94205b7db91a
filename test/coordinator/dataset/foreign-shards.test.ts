import { execFileSync } from 'node:child_process';
import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../../coordinator/dataset/dataset.js';
import { expandPattern } from '../../../coordinator/dataset/foreign-shards.js';
import type { DatasetProgress } from '../../../coordinator/dataset/indexed-images.js';
import { listImages } from '../../../coordinator/inference/predict-images.js';
import { openSource } from '../../../worker/data/source.js';
import { startFileServer } from '../../support/file-server.js';
import { jpegBytes, makeFolder, sha256, writeFiles } from '../../support/images.js';

const photos = await Promise.all(Array.from({ length: 24 }, (_, i) => jpegBytes(i, 64 + i, 48)));

/** Files in this order, as one tar. */
async function makeTar(out: string, files: readonly (readonly [string, Buffer | string])[]): Promise<void> {
  const folder = await makeFolder();
  await writeFiles(folder, Object.fromEntries(files.map(([name, body]) => [name, Buffer.from(body)])));
  await mkdir(path.dirname(out), { recursive: true });
  execFileSync('tar', ['--format=gnu', '-cf', out, '-C', folder, ...files.map(([name]) => name)]);
}

/** Twelve samples in each of two tars, of classes 2 and 10. */
async function makeTars(names = ['data-000000.tar', 'data-000001.tar']): Promise<string> {
  const folder = path.join(await makeFolder(), 'tars');
  for (const [shard, name] of names.entries()) {
    const files = photos
      .slice(12 * shard, 12 * shard + 12)
      .flatMap((bytes, i) => [
        [`${shard}/${i}.cls`, i % 2 ? '2' : '10\n'] as const,
        [`${shard}/${i}.JPG`, bytes] as const,
        [`${shard}/${i}.json`, '{}'] as const,
      ]);
    await makeTar(path.join(folder, name), files);
  }
  return folder;
}

function open(data: string, cacheDir: string, more: object = {}) {
  const seen: DatasetProgress[] = [];
  const options = { validPct: 0.25, seed: 7, cacheDir, onProgress: (p: DatasetProgress) => seen.push(p) };
  const opened = openDataset({ data, ...options, signal: new AbortController().signal, ...more });
  return opened.then((result) => ({ ...result, seen }));
}

describe('tars without an index', () => {
  it('are indexed on the first pass, and known on the next', async () => {
    const folder = await makeTars();
    const cacheDir = await makeFolder();
    const first = await open(folder, cacheDir);
    const { dataset } = first;
    expect(first.seen.some(({ phase }) => phase === 'reading')).toBe(true);
    expect(dataset.classes).toEqual(['2', '10']);
    const all = [...dataset.train, ...dataset.valid];
    expect(all.map(({ digest }) => digest).sort()).toEqual(photos.map(sha256).sort());
    for (const { path: name, label, width, height } of all) {
      const [, shard, at] = /^data-00000(\d)\.tar\/\d\/(\d+)\.JPG$/.exec(name)!;
      const photo = 12 * Number(shard) + Number(at);
      expect([label, width, height]).toEqual([Number(at) % 2 ? 0 : 1, 64 + photo, 48]);
    }
    const source = openSource(dataset);
    for (const [id, { digest }] of [...dataset.train].entries()) {
      expect(sha256(await source.read('train', id))).toBe(digest);
    }
    await source.close();
    const second = await open(folder, cacheDir);
    expect(second.dataset).toEqual(dataset);
    expect(second.seen).toEqual([]);
    // One that was written again is read again.
    await utimes(path.join(folder, 'data-000000.tar'), 1, 1);
    expect((await open(folder, cacheDir)).seen.length).toBeGreaterThan(0);
    await expect(open(folder, cacheDir, { labelPattern: '(a)' })).rejects.toThrow(/--label-pattern/);
  });

  it('are named by a pattern, on a server too, where they are read as the same data', async () => {
    const folder = await makeTars();
    const local = await open(path.join(folder, 'data-{000000..000001}.tar'), await makeFolder());
    const names = ['data-000000.tar', 'data-000001.tar'];
    const files = names.map(async (name) => [`/x/${name}`, await readFile(path.join(folder, name))] as const);
    const server = await startFileServer(Object.fromEntries(await Promise.all(files)));
    let requests = 0;
    server.fault = () => {
      requests += 1;
      return requests === 4 ? { breakAfter: 20_000 } : undefined;
    };
    const url = `${server.url}/x/data-{000000..000001}.tar`;
    const cacheDir = await makeFolder();
    const remote = await open(url, cacheDir);
    expect(remote.dataset.digest).toBe(local.dataset.digest);
    expect(remote.dataset.root).toBe(`${server.url}/x`);
    const sent = server.sent;
    expect((await open(url, cacheDir)).dataset).toEqual(remote.dataset);
    expect(server.sent).toBe(sent);
    await expect(open(`${server.url}/y`, cacheDir)).rejects.toMatchObject({
      code: 'not-found',
      remedy: expect.stringMatching(/tars without an index are named: .*\/y\/train-\{000000/),
    });
    const { files: listed } = await listImages([path.join(folder, names[0]!)], new AbortController().signal);
    expect(listed).toHaveLength(12);
  });

  it.each([
    ['ETag', [null, null]],
    [
      'date, where the server gives no ETag,',
      ['Sat, 28 Nov 2026 08:00:00 GMT', 'Sat, 28 Nov 2026 09:00:00 GMT'],
    ],
  ])('are read again when one on a server has another %s at the same size', async (_what, dates) => {
    const name = 'data-0.tar';
    const tar = await readFile(path.join(await makeTars([name]), name));
    const server = await startFileServer({ [`/${name}`]: tar });
    const cacheDir = await makeFolder();
    server.lastModified = dates[0]!;
    const before = await open(`${server.url}/${name}`, cacheDir);
    expect(before.dataset.classes).toEqual(['2', '10']);
    const other = Buffer.from(tar);
    for (let i = 1; i < 12; i += 2) other.write('3', tar.indexOf(`0/${i}.cls`) + 512);
    server.files.set(`/${name}`, other);
    server.lastModified = dates[1]!;
    const after = await open(`${server.url}/${name}`, cacheDir);
    expect(after.dataset.classes).toEqual(['3', '10']);
    expect((await open(`${server.url}/${name}`, cacheDir)).seen).toEqual([]);
  });

  it('give the sets that their names say, and leave out others', async () => {
    const folder = await makeTars(['train-0.tar', 'val-0.tar']);
    await writeFile(path.join(folder, 'test-0.tar'), 'is not read');
    const { dataset, validation } = await open(folder, await makeFolder());
    expect([dataset.train.length, dataset.valid.length]).toEqual([12, 12]);
    expect([...dataset.valid].every(({ path: name }) => name.startsWith('val-0.tar/'))).toBe(true);
    expect(validation).toMatch(/val/);
  });

  it('take the class from the folder, and name what cannot be used', async () => {
    const folder = await makeFolder();
    const good = photos
      .slice(0, 20)
      .map((bytes, i) => [`${i % 2 ? 'red' : 'blue'}/${i}.jpg`, bytes] as const);
    const bad = [
      ['red/torn.jpg', photos[0]!.subarray(0, 300)],
      ['classless.jpg', photos[1]!],
      ['notes.txt', 'no image'],
    ] as const;
    await makeTar(path.join(folder, 'all.tar'), [...good, ...bad]);
    const cacheDir = await makeFolder();
    await expect(open(folder, cacheDir)).rejects.toThrow(/2 of 22/);
    for (const _ of ['read', 'known']) {
      const { dataset, quarantined } = await open(folder, cacheDir, { skipBroken: true });
      expect(dataset.classes).toEqual(['blue', 'red']);
      expect(quarantined).toEqual([
        { path: 'all.tar/red/torn.jpg', reason: expect.stringMatching(/truncated|missing/) },
        { path: 'all.tar/classless.jpg', reason: expect.stringMatching(/no class/) },
      ]);
    }
  });

  it.each([
    ['compressed', (tar: Buffer) => gzipSync(tar), /is compressed \(gzip\)/],
    ['cut off', (tar: Buffer) => tar.subarray(0, 1_300), /not whole/],
    ['empty of samples', () => Buffer.alloc(10_240), /there are no samples in/],
  ])('are refused with the reason: %s', async (_name, change, message) => {
    const folder = await makeTars(['data-0.tar']);
    const file = path.join(folder, 'data-0.tar');
    await writeFile(file, change(await readFile(file)));
    await expect(open(folder, await makeFolder())).rejects.toThrow(message);
  });

  it('have patterns that are expanded as WebDataset does', () => {
    expect(expandPattern('a-{008..011}.tar')).toEqual(['a-008.tar', 'a-009.tar', 'a-010.tar', 'a-011.tar']);
    expect(expandPattern('{x,y}-{0..1}.tar')).toEqual(['x-0.tar', 'x-1.tar', 'y-0.tar', 'y-1.tar']);
    expect(expandPattern('a.tar')).toEqual(['a.tar']);
  });
});
