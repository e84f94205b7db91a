import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { indexImages } from '../../../coordinator/dataset/dataset.js';
import type { IndexedImages } from '../../../coordinator/dataset/indexed-images.js';
import { openPaths, readIndex } from '../../../coordinator/dataset/shard-index.js';
import { sampleOrders } from '../../../coordinator/pack/order.js';
import { packImages } from '../../../coordinator/pack/pack-images.js';
import { RondoError } from '../../../runtime/errors.js';
import { tryLock } from '../../../runtime/file-lock.js';
import { readTar } from '../../support/archives.js';
import { gradientImage, jpegBytes, makeFolder, sha256, writeFiles } from '../../support/images.js';
import { digestFolder, packFolder, plainPack } from '../../support/packing.js';

const photos = await Promise.all(Array.from({ length: 24 }, (_, i) => jpegBytes(i, 96 + i, 80)));

/** `count` photographs in classes a and b. */
async function makePhotos(count = photos.length): Promise<string> {
  const root = path.join(await makeFolder(), 'photos');
  const files = photos.slice(0, count).map((bytes, i) => [`${i % 2 ? 'b' : 'a'}/${i}.jpg`, bytes] as const);
  await writeFiles(root, Object.fromEntries(files));
  return root;
}

async function makeOut(): Promise<string> {
  return path.join(await makeFolder(), 'packed');
}

function indexFolder(data: string): Promise<IndexedImages> {
  const { signal } = new AbortController();
  return indexImages({ data, cacheDir: path.join(data, '.cache'), onProgress() {}, signal });
}

/** What Python's own reader finds: name, SHA-256 of the contents, and the fields that must say nothing. */
function readWithPython(shard: string): [name: string, digest: string, fields: string][] {
  const program = `
import hashlib, json, sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    print(json.dumps([[m.name, hashlib.sha256(archive.extractfile(m).read()).hexdigest(),
                       f"{m.mode:o} {m.uid} {m.gid} {m.uname}{m.gname} {m.mtime}"] for m in archive]))`;
  return JSON.parse(execFileSync('python3', ['-c', program, shard], { encoding: 'utf8' }));
}

describe('packImages', () => {
  it('writes shards that an index and Python agree on, of the files byte for byte', async () => {
    const data = await makePhotos();
    const out = await makeOut();
    const { shards, found } = await packFolder(data, out, { shardBytes: 20_000 });
    expect(shards.length).toBeGreaterThan(2);
    expect(found).toBe(0);
    const names = shards.map(({ name }) => name);
    expect(await readdir(out)).toEqual(['README.md', ...names, 'index.rondo']);
    const { header, columns, paths } = await readIndex(path.join(out, 'index.rondo'), { withPaths: true });
    expect(header).toMatchObject({ classes: ['a', 'b'], validation: null, shards });

    const indexed = await indexFolder(data);
    const pathAt = openPaths(paths!);
    let at = 0;
    for (const { name, bytes, sha256: digest, samples } of shards) {
      const shard = await readFile(path.join(out, name));
      expect([shard.length, sha256(shard)]).toEqual([bytes, digest]);
      expect(bytes).toBeLessThanOrEqual(20_000);
      const read = readWithPython(path.join(out, name));
      expect(new Set(read.map(([, , fields]) => fields))).toEqual(new Set(['644 0 0  0']));
      for (const [image, label] of pairs(read)) {
        const file = pathAt(at);
        const key = file.replace('.jpg', '');
        expect([image[0], label[0]]).toEqual([`${key}.jpg`, `${key}.cls`]);
        const original = await readFile(path.join(data, file));
        expect(image[1]).toBe(sha256(original));
        expect(label[1]).toBe(sha256(Buffer.from(key.startsWith('a') ? '0' : '1')));
        const start = columns.block[at]! * 512;
        expect(shard.subarray(start, start + columns.size[at]!)).toEqual(original);
        expect(Buffer.from(columns.digest.subarray(at * 32, at * 32 + 32)).toString('hex')).toBe(image[1]);
        expect(indexed.images.at(columns.position[at]!)).toMatchObject({
          ...{ path: file, label: columns.label[at], width: columns.width[at], height: columns.height[at] },
        });
        at += 1;
      }
      expect(read).toHaveLength(2 * samples);
    }
    expect(at).toBe(photos.length);
    expect([...columns.position].sort((a, b) => a - b)).toEqual([...photos.keys()]);
  });

  it.each(sampleOrders)(
    '%s: gives the same bytes for the same images elsewhere, at another time',
    async (order) => {
      const data = await makePhotos();
      const moved = path.join(await makeFolder(), 'moved');
      for (const [i, name] of (await readdir(data, { recursive: true })).reverse().entries()) {
        if (!name.endsWith('.jpg')) continue;
        await mkdir(path.dirname(path.join(moved, name)), { recursive: true });
        await copyFile(path.join(data, name), path.join(moved, name));
        await utimes(path.join(moved, name), i, i);
      }
      const [one, other] = [await makeOut(), await makeOut()];
      await packFolder(data, one, { order });
      await packFolder(moved, other, { order });
      expect(await digestFolder(other)).toEqual(await digestFolder(one));
    },
  );

  it.each([
    ['as they are', { shardBytes: 20_000 }],
    ['encoded anew', { shardBytes: 16_000, resize: 60, quality: 95 }],
  ])('goes on after what was finished, wherever it was stopped: the same bytes, %s', async (_, o) => {
    const data = await makePhotos();
    const whole = await makeOut();
    const { shards } = await packFolder(data, whole, o);
    const wanted = await digestFolder(whole);
    const out = await makeOut();
    for (const stopAt of [1, 9, 10, 17, photos.length]) {
      const end = new AbortController();
      const onProgress = (done: number) => {
        if (done >= stopAt) end.abort(new RondoError('cancelled', 'stopped by SIGINT'));
      };
      await expect(packFolder(data, out, { ...o, onProgress, signal: end.signal })).rejects.toMatchObject({
        ...{ code: 'cancelled', message: 'stopped by SIGINT' },
        remedy: 'the same command goes on after the shards that are finished',
      });
      expect(await readdir(out)).not.toContain('index.rondo');
    }
    const before = await Promise.all(shards.map(({ name }) => stat(path.join(out, name))));
    expect(await packFolder(data, out, o)).toEqual({ shards, found: shards.length });
    expect(await digestFolder(out)).toEqual(wanted);
    const after = await Promise.all(shards.map(({ name }) => stat(path.join(out, name))));
    expect(after.map(({ ino, mtimeMs }) => [ino, mtimeMs])).toEqual(
      before.map(({ ino, mtimeMs }) => [ino, mtimeMs]),
    );
  });

  it('takes notes of finished shards for what they are worth', async () => {
    const data = await makePhotos();
    const whole = await makeOut();
    const o = { shardBytes: 20_000 };
    const { shards } = await packFolder(data, whole, o);
    const out = await makeOut();
    const end = new AbortController();
    const onProgress = (done: number) => {
      if (done === photos.length) end.abort(new RondoError('cancelled', 'stopped by SIGINT'));
    };
    await expect(packFolder(data, out, { ...o, onProgress, signal: end.signal })).rejects.toThrow();
    const work = path.join(out, '.pack');
    const [first, second, third] = shards.map(({ name }) => name);
    // As a crash leaves them: a shard without its note, a note without its shard, half a note, half a shard.
    await rm(path.join(work, `${first}.index`));
    await rm(path.join(out, second!));
    await writeFile(path.join(work, `${third}.index`), 'RONDOIDX');
    await writeFile(path.join(work, 'shard.tar'), 'half a shard');
    await expect(packFolder(data, out, { ...o, seed: 7 })).rejects.toThrow(
      /holds an unfinished pack of --seed 42$/,
    );
    expect((await packFolder(data, out, o)).found).toBe(shards.length - 3);
    expect(await digestFolder(out)).toEqual(await digestFolder(whole));
  });

  it('writes a shard again that is missing, cut short or damaged, and leaves the others', async () => {
    const data = await makePhotos();
    const out = await makeOut();
    const { shards } = await packFolder(data, out, { shardBytes: 20_000 });
    const wanted = await digestFolder(out);
    const [first, second, third] = shards.map(({ name }) => path.join(out, name));
    await rm(first!);
    await writeFile(second!, (await readFile(second!)).subarray(0, 1000));
    const damaged = await readFile(third!);
    damaged[700]! ^= 1;
    await writeFile(third!, damaged);
    const { found } = await packFolder(data, out, { shardBytes: 20_000 });
    expect(found).toBe(shards.length - 3);
    expect(await digestFolder(out)).toEqual(wanted);
  });

  it('keeps the sets that folders give apart, each in shards of its own', async () => {
    const data = await makeFolder();
    const files = photos
      .slice(0, 12)
      .map((bytes, i) => [`${i < 8 ? 'train' : 'val'}/${i % 2}/x.${i}.jpg`, bytes]);
    await writeFiles(data, Object.fromEntries(files));
    const out = await makeOut();
    const { shards } = await packFolder(data, out);
    expect(shards).toMatchObject([
      { name: 'train-000000.tar', set: 'train', samples: 8 },
      { name: 'valid-000000.tar', set: 'valid', samples: 4 },
    ]);
    const valid = await readTar(await readFile(path.join(out, 'valid-000000.tar')));
    expect(valid.map(({ name }) => name).sort()).toEqual(
      [8, 9, 10, 11].flatMap((i) => [`val/${i % 2}/x_${i}.cls`, `val/${i % 2}/x_${i}.jpg`]).sort(),
    );
    const card = await readFile(path.join(out, 'README.md'), 'utf8');
    expect(card).toContain('| `train-000000.tar` | 8 |');
    expect(card).toContain('| 0 | 0 | 4 | 2 |');
  });

  it('takes sets and labels from a table, and sets from two folders with files of the same names', async () => {
    const data = await makePhotos(8);
    const labels = path.join(data, 'labels.csv');
    const rows = Array.from(
      { length: 8 },
      (_, i) => `${i % 2 ? 'b' : 'a'}/${i}.jpg,${i < 4 ? 'x' : 'y'},${i % 4 === 3}`,
    );
    await writeFile(labels, ['path,label,is_valid', ...rows].join('\n'));
    const byTable = await packFolder(data, await makeOut(), { labelsFile: labels });
    expect(byTable.shards.map(({ set, samples }) => [set, samples])).toEqual([
      ['train', 6],
      ['valid', 2],
    ]);
    const byFolder = await packFolder(data, await makeOut(), { validDir: await makePhotos(4) });
    expect(byFolder.shards.map(({ set, samples }) => [set, samples])).toEqual([
      ['train', 8],
      ['valid', 4],
    ]);
  });

  it('shrinks images that are larger to JPEGs, upright, and leaves the others as they are', async () => {
    const data = await makeFolder();
    const turned = await gradientImage(300, 200).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const clear = await sharp({ create: { width: 200, height: 100, channels: 4, background: '#0000' } })
      .png()
      .toBuffer();
    const small = await gradientImage(90, 40).webp().toBuffer();
    await writeFiles(data, { 'a/turned.jpg': turned, 'a/clear.png': clear, 'b/small.webp': small });
    const out = await makeOut();
    await packFolder(data, out, { resize: 50, order: 'sorted' });
    const files = await readTar(await readFile(path.join(out, 'images-000000.tar')));
    const byName = new Map(files.map(({ name, bytes }) => [name, bytes]));
    expect([...byName.keys()].filter((name) => !name.endsWith('.cls'))).toEqual([
      'a/clear.jpg',
      'a/turned.jpg',
      'b/small.webp',
    ]);
    expect(byName.get('b/small.webp')).toEqual(small);
    expect(await sharp(byName.get('a/turned.jpg')).metadata()).toMatchObject({ width: 50, height: 75 });
    const white = await sharp(byName.get('a/clear.jpg')).raw().toBuffer({ resolveWithObject: true });
    expect(white.info).toMatchObject({ width: 100, height: 50, channels: 3 });
    expect(white.data.every((value) => value > 250)).toBe(true);
    const { columns } = await readIndex(path.join(out, 'index.rondo'));
    expect([...columns.width]).toEqual([100, 50, 90]);
    expect([...columns.height]).toEqual([50, 75, 40]);

    const encoded = await makeOut();
    await packFolder(data, encoded, { quality: 80, order: 'sorted' });
    const all = await readTar(await readFile(path.join(encoded, 'images-000000.tar')));
    expect(all.map(({ name }) => name).filter((name) => !name.endsWith('.cls'))).toEqual([
      'a/clear.jpg',
      'a/turned.jpg',
      'b/small.jpg',
    ]);
    const sizes = await readIndex(path.join(encoded, 'index.rondo'));
    expect([...sizes.columns.width]).toEqual([200, 200, 90]);
  });

  it('names files by what they hold, whatever their ending says, and takes long names', async () => {
    const data = await makeFolder();
    const long = `${'ü'.repeat(100)}/${'y'.repeat(150)}`;
    const files = { [`${long}/a.png`]: photos[0]!, 'b/b.jpg': await gradientImage(20, 20).png().toBuffer() };
    await writeFiles(data, { ...files, 'b/c.jpeg': photos[1]! });
    const out = await makeOut();
    await packFolder(data, out, { order: 'sorted' });
    const names = readWithPython(path.join(out, 'images-000000.tar')).map(([name]) => name);
    expect(names).toEqual(['b/b.png', 'b/b.cls', 'b/c.jpg', 'b/c.cls', `${long}/a.jpg`, `${long}/a.cls`]);
  });

  it('gives an image that is larger than a shard one of its own', async () => {
    const out = await makeOut();
    const { shards } = await packFolder(await makePhotos(3), out, { shardBytes: 1000 });
    expect(shards.map(({ samples }) => samples)).toEqual([1, 1, 1]);
  });

  describe('refuses', () => {
    it('a folder with the pack of other images or options, saying which', async () => {
      const out = await makeOut();
      const data = await makePhotos();
      await packFolder(data, out);
      const wanted = await digestFolder(out);
      for (const [o, message] of [
        [{ resize: 64 }, 'holds a pack of --resize not given'],
        [{ order: 'sorted' }, 'holds a pack of --order shuffled, --seed 42'],
        [{ shardBytes: 1 << 20 }, 'holds a pack of --shard-size 65536'],
      ] as const) {
        await expect(packFolder(data, out, o)).rejects.toMatchObject({
          code: 'failed-precondition',
          message: expect.stringContaining(message),
          remedy: expect.stringContaining('give --out an empty folder or a new one, or remove'),
        });
      }
      await expect(packFolder(await makePhotos(10), out)).rejects.toThrow(/holds a pack of other images/);
      expect(await digestFolder(out)).toEqual(wanted);
    });

    it('a folder that holds anything else, a file, and one that another process packs into', async () => {
      const data = await makePhotos(4);
      const other = await makeFolder();
      await writeFiles(other, { 'thesis.tex': 'x' });
      await expect(packFolder(data, other)).rejects.toThrow(/is not empty: it holds thesis.tex/);
      await expect(packFolder(data, path.join(other, 'thesis.tex'))).rejects.toThrow(/is no folder/);
      expect(await readdir(other)).toEqual(['thesis.tex']);
      const packed = await makeOut();
      await packFolder(data, packed);
      const busy = await makeOut();
      await mkdir(path.join(busy, '.pack'), { recursive: true });
      const unlock = tryLock(path.join(busy, '.pack', 'lock'))!;
      await expect(packFolder(data, busy)).rejects.toThrow(/^process \d+ on .* packs into .* at the moment$/);
      unlock();
      await packFolder(data, busy);
    });

    it('an image that changed after it was looked at, and two of one name', async () => {
      const data = await makePhotos(4);
      const out = await makeOut();
      const images = await indexFolder(data);
      await writeFiles(data, { 'a/0.jpg': photos[9]! });
      const { signal } = new AbortController();
      const changing = packImages({ ...plainPack, images, out, onProgress() {}, signal });
      await expect(changing).rejects.toMatchObject({
        code: 'failed-precondition',
        message: expect.stringMatching(/image \S*a\/0\.jpg changed while it was packed/),
      });
      await writeFiles(data, { 'a/0.png': photos[10]! });
      await expect(packFolder(data, await makeOut())).rejects.toThrow(
        /a\/0.jpg and a\/0.png would both be the sample a\/0/,
      );
      const { shards } = await packFolder(data, await makeOut(), { keys: 'number' });
      expect(shards[0]!.samples).toBe(5);
    });
  });
});

function pairs<T>(values: readonly T[]): [T, T][] {
  return Array.from({ length: values.length / 2 }, (_, i) => [values[2 * i]!, values[2 * i + 1]!]);
}
