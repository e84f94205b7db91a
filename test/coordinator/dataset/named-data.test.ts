import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { labelByPattern, labelPaths } from '../../../coordinator/dataset/labels.js';
import {
  type NamedData,
  type NamedDataOptions,
  type NamedDataProgress,
  namedData,
  openNamedData,
} from '../../../coordinator/dataset/named-data.js';
import { type ArchiveEntry, makeArchive, sha256Of } from '../../support/archives.js';
import { type HttpServer, startHttpServer } from '../../support/http-server.js';
import { jpegBytes, makeFolder } from '../../support/images.js';

const names = ['Abyssinian_1.jpg', 'Abyssinian_10.jpg', 'american_bulldog_2.jpg', 'Ragdoll_3.JPEG'];
const images = new Map<string, Buffer>();
let good: ArchiveEntry[];

beforeAll(async () => {
  for (const [variant, name] of names.entries()) images.set(name, await jpegBytes(variant, 400, 300));
  good = [
    { name: 'images/', type: 'directory' },
    ...[...images].map(([name, bytes]) => ({ name: `images/${name}`, bytes })),
    { name: 'images/Abyssinian_100.mat', bytes: Buffer.from('not an image') },
    { name: 'images/._Abyssinian_1.jpg', bytes: Buffer.from('what a Mac leaves') },
    { name: 'images/empty.txt' },
    { name: `images/${'long_'.repeat(40)}1.jpg`, bytes: images.get('Abyssinian_1.jpg')! },
  ];
});

afterEach(() => vi.unstubAllEnvs());

interface Setting {
  server: HttpServer;
  cacheDir: string;
  seen: NamedDataProgress[];
  archive: Buffer;
  open(options?: Partial<NamedDataOptions>): Promise<{ folder: string; labelPattern: string }>;
}

async function setUp(archive: Buffer): Promise<Setting> {
  const server = await startHttpServer({ '/data/pets.tar.gz': { bytes: archive } });
  vi.stubEnv('RONDO_DATA_URL', `${server.url}/data`);
  const cacheDir = await makeFolder();
  const seen: NamedDataProgress[] = [];
  const pets: NamedData = {
    ...namedData.pets!,
    bytes: archive.length,
    sha256: sha256Of(archive),
    md5: undefined,
  };
  const open = (options: Partial<NamedDataOptions> = {}) =>
    openNamedData('pets', {
      cacheDir,
      signal: new AbortController().signal,
      onProgress: (progress) => seen.push(progress),
      catalogue: { pets },
      ...options,
    });
  return { server, cacheDir, seen, archive, open };
}

const contents = async (cacheDir: string) => (await readdir(path.join(cacheDir, 'data'))).sort();

describe('a data set by name', () => {
  it('is fetched and unpacked: the images, byte for byte, and nothing else', async () => {
    const { open, cacheDir } = await setUp(await makeArchive(good));
    const { folder } = await open();
    expect(folder).toBe(path.join(cacheDir, 'data', 'pets'));
    const found = (await readdir(path.join(folder, 'images'))).sort();
    expect(found).toEqual([...names, `${'long_'.repeat(40)}1.jpg`].sort());
    for (const [name, bytes] of images) {
      expect((await readFile(path.join(folder, 'images', name))).equals(bytes)).toBe(true);
    }
    expect(await contents(cacheDir)).toEqual(['pets', 'pets.tar.gz']);
  });

  it("comes with a pattern that finds the lesson's labels", async () => {
    const { open } = await setUp(await makeArchive(good));
    const { labelPattern } = await open();
    const paths = names.slice(0, 3).map((name) => ({ path: `images/${name}` }));
    expect(labelPaths(paths, labelByPattern(labelPattern))).toEqual({
      classes: ['Abyssinian', 'american_bulldog'],
      labels: [0, 0, 1],
    });
  });

  it('tells how far both phases are, from the whole size on', async () => {
    const { open, seen, archive } = await setUp(await makeArchive(good));
    await open();
    const total = archive.length;
    expect(seen[0]).toEqual({ phase: 'downloading', done: 0, total });
    expect(seen.at(-1)).toEqual({ phase: 'unpacking', done: total, total });
    const phases = seen.map(({ phase }) => phase);
    expect(phases.indexOf('unpacking')).toBe(phases.lastIndexOf('downloading') + 1);
    expect(seen.filter(({ phase, done }) => phase === 'downloading' && done === total)).not.toEqual([]);
  });

  it('is found by the second call without a request, and without the archive', async () => {
    const { open, server, cacheDir, seen } = await setUp(await makeArchive(good));
    const first = await open();
    await server.close();
    await rm(path.join(cacheDir, 'data', 'pets.tar.gz'));
    seen.length = 0;
    expect(await open()).toEqual(first);
    expect(server.requests).toHaveLength(1);
    expect(seen).toEqual([]);
  });

  it('is unpacked again from the archive when only its folder is gone', async () => {
    const { open, server } = await setUp(await makeArchive(good));
    const { folder } = await open();
    await rm(folder, { recursive: true });
    await server.close();
    await open();
    expect(existsSync(path.join(folder, 'images', names[0]!))).toBe(true);
    expect(server.requests).toHaveLength(1);
  });

  it('survives a broken connection: the rest is asked for', async () => {
    const { open, server, seen } = await setUp(await makeArchive(good));
    const breakAfter = 5_000;
    let begin = () => {};
    const breakWhen = new Promise<void>((resolve) => {
      begin = resolve;
    });
    server.faults.push({ breakAfter, breakWhen });
    const { folder } = await open({
      onProgress: (progress) => {
        seen.push(progress);
        if (progress.done >= breakAfter) begin();
      },
    });
    expect(server.requests.map(({ headers }) => headers.range)).toEqual([undefined, `bytes=${breakAfter}-`]);
    expect(await readdir(path.join(folder, 'images'))).toHaveLength(5);
  });

  it('is unpacked once by two that want it at the same time', async () => {
    const { open, server, cacheDir } = await setUp(await makeArchive(good));
    const unpackers = new Set<number>();
    const opening = [1, 2].map((caller) =>
      open({
        onProgress: ({ phase, done }) => {
          if (phase === 'unpacking' && done > 0) unpackers.add(caller);
        },
      }),
    );
    const [first, second] = await Promise.all(opening);
    expect(first).toEqual(second);
    expect(server.requests).toHaveLength(1);
    expect(unpackers.size).toBe(1);
    expect(await contents(cacheDir)).toEqual(['pets', 'pets.tar.gz']);
  });

  it('is unpacked afresh over what a crash has left', async () => {
    const { open, cacheDir } = await setUp(await makeArchive(good));
    const left = path.join(cacheDir, 'data', 'pets.unpacking', 'images');
    await mkdir(left, { recursive: true });
    await writeFile(path.join(left, 'half_1.jpg'), 'half');
    const { folder } = await open();
    expect(await readdir(path.join(folder, 'images'))).not.toContain('half_1.jpg');
  });
});

describe('what is refused', () => {
  it.each([
    '../outside_1.jpg',
    'images/../../outside_1.jpg',
    '/tmp/rondo-outside_1.jpg',
    '..\\outside_1.jpg',
    '../outside.txt',
  ])('an entry named %s, with everything around it', async (name) => {
    const bytes = await jpegBytes();
    const { open, cacheDir } = await setUp(await makeArchive([...good, { name, bytes }]));
    const failure = open();
    await expect(failure).rejects.toMatchObject({ code: 'data-loss' });
    await expect(failure).rejects.toThrow(/points out of its folder/);
    expect(await contents(cacheDir)).toEqual(['pets.tar.gz']);
    expect(existsSync('/tmp/rondo-outside_1.jpg')).toBe(false);
    expect(await readdir(cacheDir)).toEqual(['data']);
  });

  it('a link as a way out: it is passed over, and what lies below it stays inside', async () => {
    const outside = await makeFolder();
    const entries: ArchiveEntry[] = [
      { name: 'images', type: 'symlink', linkname: outside },
      { name: 'images/cat_1.jpg', bytes: await jpegBytes() },
      { name: 'cat_2.jpg', type: 'symlink', linkname: '/etc/hostname' },
    ];
    const { open } = await setUp(await makeArchive(entries));
    const { folder } = await open();
    expect(await readdir(outside)).toEqual([]);
    expect(await readdir(folder)).toEqual(['images']);
    expect(await readdir(path.join(folder, 'images'))).toEqual(['cat_1.jpg']);
  });

  it('an archive with another digest, naming both', async () => {
    const { open, server, cacheDir, archive } = await setUp(await makeArchive(good));
    const other = Buffer.from(archive);
    other[other.length - 1]! ^= 1;
    server.files.set('/data/pets.tar.gz', { bytes: other });
    const failure = open();
    await expect(failure).rejects.toMatchObject({ code: 'data-loss' });
    await expect(failure).rejects.toThrow(`expected SHA-256 ${sha256Of(archive)}, found ${sha256Of(other)}`);
    expect(await contents(cacheDir)).toEqual([]);
  });

  it.each<[string, (whole: Buffer) => Buffer]>([
    ['that ends early', (whole) => whole.subarray(0, whole.length >> 1)],
    ['that is no gzip file', () => Buffer.from('<html>please log in</html>')],
    ['that is damaged', (whole) => Buffer.from(whole).fill(0, 2_000, 3_000)],
  ])('an archive %s leaves nothing half', async (_, spoil) => {
    const { open, cacheDir } = await setUp(spoil(await makeArchive(good)));
    await expect(open()).rejects.toMatchObject({
      code: 'data-loss',
      message: expect.stringContaining('cannot unpack'),
      remedy: expect.stringContaining('pets.tar.gz'),
    });
    expect(await contents(cacheDir)).toEqual(['pets.tar.gz']);
  });

  it('an archive without images', async () => {
    const { open } = await setUp(await makeArchive([{ name: 'readme.txt', bytes: Buffer.from('hello') }]));
    await expect(open()).rejects.toThrow(/holds no images/);
  });

  it('a stop while unpacking leaves the archive, and the next call ends the work', async () => {
    const { open, cacheDir, seen } = await setUp(await makeArchive(good));
    const stop = new AbortController();
    const failure = open({
      signal: stop.signal,
      onProgress: ({ phase }) => {
        if (phase === 'unpacking') stop.abort();
      },
    });
    await expect(failure).rejects.toMatchObject({ code: 'cancelled' });
    expect(await contents(cacheDir)).toEqual(['pets.tar.gz']);
    await open();
    expect(seen.every(({ phase }) => phase === 'unpacking')).toBe(true);
    expect(await contents(cacheDir)).toEqual(['pets', 'pets.tar.gz']);
  });

  it('a name that nobody knows, with the one that was meant', async () => {
    const o = { cacheDir: await makeFolder(), signal: new AbortController().signal, onProgress() {} };
    await expect(openNamedData('pest', o)).rejects.toMatchObject({
      code: 'invalid-argument',
      remedy: 'did you mean "pets"?',
    });
    await expect(openNamedData('constructor', o)).rejects.toMatchObject({ remedy: 'the names are: pets' });
  });

  it('offline: says which archive to put where', async () => {
    const { open, server, cacheDir } = await setUp(await makeArchive(good));
    await server.close();
    await expect(open()).rejects.toMatchObject({
      code: 'unavailable',
      remedy: expect.stringContaining(path.join(cacheDir, 'data', 'pets.tar.gz')),
    });
  });
});
