import { readdir, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  type DatasetOptions,
  type DatasetProgress,
  openDataset,
} from '../../../coordinator/dataset/dataset.js';
import { claimSize, gradientImage, jpegBytes, makeFolder, sha256, writeFiles } from '../../support/images.js';

const jpeg = await jpegBytes(0, 64, 64);
const small = await jpegBytes(0, 8, 8);

/** A folder of `count` images, half in class a and half in class b, and some more files. */
async function makeImages(count: number, more: Record<string, Uint8Array | string> = {}) {
  const root = await makeFolder();
  const names = Array.from(
    { length: count },
    (_, i) => `${i % 2 === 0 ? 'a' : 'b'}/${String(i).padStart(3, '0')}.jpg`,
  );
  await writeFiles(root, { ...Object.fromEntries(names.map((name) => [name, small])), ...more });
  return root;
}

async function open(data: string, o: Partial<DatasetOptions> = {}) {
  const progress: DatasetProgress[] = [];
  const opened = await openDataset({
    data,
    validPct: 0.2,
    seed: 42,
    cacheDir: path.join(data, '.cache'),
    signal: new AbortController().signal,
    onProgress: (p) => progress.push(p),
    ...o,
  });
  return { ...opened, progress };
}

describe('openDataset', () => {
  it('indexes a folder: classes, split, digest, no broken file', async () => {
    const root = await makeImages(20);
    const { dataset, quarantined, progress } = await open(root);
    expect(dataset.classes).toEqual(['a', 'b']);
    expect([dataset.train.length, dataset.valid.length]).toEqual([16, 4]);
    expect(quarantined).toEqual([]);
    const all = [...dataset.train, ...dataset.valid];
    expect(new Set(all.map((sample) => sample.path)).size).toBe(20);
    expect(all.every(({ path: name, label }) => name.startsWith(dataset.classes[label]!))).toBe(true);
    expect(dataset.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(progress.at(-1)).toEqual({ phase: 'verifying', done: 20, total: 20 });
  });

  it('gives the same index wherever the folder lies, another with another seed, file or label', async () => {
    const root = await makeImages(20);
    const { dataset } = await open(root);
    const moved = path.join(await makeFolder(), 'moved');
    await rename(root, moved);
    const again = (await open(moved)).dataset;
    expect({ ...again, root: '' }).toEqual({ ...dataset, root: '' });
    const reseeded = (await open(moved, { seed: 43 })).dataset;
    expect(reseeded.valid).not.toEqual(dataset.valid);
    expect(reseeded.digest).toBe(dataset.digest);
    await writeFiles(moved, { 'a/000.jpg': jpeg });
    const resized = (await open(moved)).dataset;
    expect(resized.digest).not.toBe(dataset.digest);
    expect(resized.valid.map((sample) => sample.path)).toEqual(again.valid.map((sample) => sample.path));
    await rename(path.join(moved, 'b'), path.join(moved, 'c'));
    expect((await open(moved)).dataset.digest).not.toBe(resized.digest);
  });

  it('knows images by their bytes: another folder with the same names and sizes is another data set', async () => {
    const [one, other] = [await makeImages(20), await makeImages(20)];
    const bytes = await readFile(path.join(other, 'b/001.jpg'));
    // In the last byte before the end marker: the size stays, the picture hardly changes.
    bytes[bytes.length - 3]! ^= 1;
    await writeFiles(other, { 'b/001.jpg': bytes });
    const [first, second] = [(await open(one)).dataset, (await open(other)).dataset];
    expect(second.digest).not.toBe(first.digest);
    const changed = [...second.train, ...second.valid].find((sample) => sample.path === 'b/001.jpg')!;
    expect(changed.digest).toBe(sha256(bytes));
  });

  it.each(['in place', 'by another file'])(
    'notices a file replaced %s by one of the same size and modification time',
    async (how) => {
      const root = await makeImages(10);
      const file = path.join(root, 'b/003.jpg');
      await utimes(file, 1e9, 1e9);
      await setTimeout(100);
      const before = (await open(root)).dataset;
      expect((await open(root)).dataset.digest).toBe(before.digest);
      const { size } = await stat(file);
      const bytes = await readFile(file);
      bytes[bytes.length - 3]! ^= 1;
      if (how === 'in place') await writeFile(file, bytes);
      else {
        await writeFile(`${file}.new`, bytes);
        await rename(`${file}.new`, file);
      }
      await utimes(file, 1e9, 1e9);
      expect(await stat(file)).toMatchObject({ mtimeMs: 1e12, size });
      const { dataset, progress } = await open(root);
      expect(dataset.digest).not.toBe(before.digest);
      expect(progress.find(({ phase }) => phase === 'verifying')?.done).toBe(9);
    },
  );

  it.each([
    [10, 9],
    [1000, 10],
  ])('reads a file once more that had changed %i ms before it was listed', async (ms, known) => {
    const root = await makeImages(10);
    await setTimeout(100);
    await writeFiles(root, { 'b/003.jpg': small });
    const { ctimeMs } = await stat(path.join(root, 'b/003.jpg'));
    // A change within the same tick of the file system's clock would leave the same stamp.
    const now = vi.spyOn(Date, 'now').mockReturnValue(ctimeMs + ms);
    onTestFinished(() => now.mockRestore());
    await open(root);
    expect((await open(root)).progress.find(({ phase }) => phase === 'verifying')?.done).toBe(known);
  });

  it('tells the size of every image, upright, at once and from the record', async () => {
    const turned = gradientImage(120, 60).withMetadata({ orientation: 6 });
    const root = await makeImages(10, {
      'a/wide.png': await gradientImage(120, 60).png().toBuffer(),
      'b/turned.jpg': await turned.jpeg().toBuffer(),
    });
    const sizes = async () => {
      const { train, valid } = (await open(root)).dataset;
      return Object.fromEntries(
        [...train, ...valid].map(({ path: name, width, height }) => [name, [width, height]]),
      );
    };
    await setTimeout(100);
    const first = await sizes();
    expect(first).toMatchObject({ 'a/000.jpg': [8, 8], 'a/wide.png': [120, 60], 'b/turned.jpg': [60, 120] });
    expect(await sizes()).toEqual(first);
  });

  it('leaves out what cannot be decoded, says why, and goes on below 1 %', async () => {
    const truncated = (await jpegBytes(1, 300, 300)).subarray(0, 3000);
    const root = await makeImages(701, {
      'a/empty.jpg': '',
      'a/truncated.jpg': truncated,
      'b/bitmap.jpg': 'BM6 and so on',
      'b/huge.jpg': claimSize(small, 20_000, 20_000),
      'b/text.png': 'hello',
      'stray.jpg': small,
    });
    const { dataset, quarantined } = await open(root);
    expect(quarantined).toEqual([
      { path: 'a/empty.jpg', reason: 'is empty' },
      { path: 'a/truncated.jpg', reason: expect.stringContaining('truncated') },
      { path: 'b/bitmap.jpg', reason: 'holds BMP data, which is not read' },
      {
        path: 'b/huge.jpg',
        reason: 'is too large: 20000 × 20000, 400 megapixels, and at most 250 megapixels are decoded',
      },
      { path: 'b/text.png', reason: expect.stringContaining('unsupported image format') },
      { path: 'stray.jpg', reason: 'lies in no class folder' },
    ]);
    const indexed = [...dataset.train, ...dataset.valid].map((sample) => sample.path);
    expect(indexed).toHaveLength(701);
    expect(indexed).not.toContain('a/truncated.jpg');
  });

  it('stops at 1 %, naming the first files', async () => {
    const root = await makeImages(
      93,
      Object.fromEntries([1, 2, 3, 4, 5, 6, 7].map((i) => [`a/bad${i}.jpg`, 'x'])),
    );
    await expect(open(root)).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringMatching(
        /^7 of 100 images in .*\n {2}a\/bad1\.jpg .*\n[\s\S]*bad5.*\n {2}and 2 more$/,
      ),
      remedy: expect.any(String),
    });
  });

  it('decodes a file once, and again when it changed', async () => {
    const root = await makeImages(10);
    await setTimeout(100);
    await open(root);
    const start = async () => (await open(root)).progress.find(({ phase }) => phase === 'verifying');
    expect(await start()).toEqual({ phase: 'verifying', done: 10, total: 10 });
    await utimes(path.join(root, 'a/000.jpg'), 1, 1);
    await writeFiles(root, { 'b/001.jpg': jpeg, 'b/new.jpg': jpeg });
    expect(await start()).toEqual({ phase: 'verifying', done: 8, total: 11 });
    await writeFiles(root, { 'b/new.jpg': 'broken' });
    await expect(open(root)).rejects.toThrow(/1 of 11 images/);
    await expect(open(root)).rejects.toThrow(/1 of 11 images/);
  });

  it('ignores a damaged record of an earlier pass', async () => {
    const root = await makeImages(10);
    const cacheDir = path.join(root, '.cache');
    await setTimeout(100);
    await open(root);
    const [record] = await readdir(cacheDir);
    const text = await readFile(path.join(cacheDir, record!), 'utf8');
    const lines = text.trimEnd().split('\n');
    const withFinding = (finding: unknown) =>
      lines
        .map((line) => `${JSON.stringify([...(JSON.parse(line) as unknown[]).slice(0, -1), finding])}\n`)
        .join('');
    const contents = [
      '{\n',
      '[1, null, ["a/000.jpg", 1]]\n',
      ...[null, { usable: true }, { usable: true, width: 8, height: 8 }, { usable: false }].map(withFinding),
    ];
    for (const content of contents) {
      await writeFiles(cacheDir, { [record!]: content });
      const { dataset, progress } = await open(root);
      expect(dataset.train).toHaveLength(8);
      expect(progress.find(({ phase }) => phase === 'verifying')?.done).toBe(0);
    }
  });

  it('takes what is whole of a damaged record', async () => {
    const root = await makeImages(10);
    const cacheDir = path.join(root, '.cache');
    await setTimeout(100);
    await open(root);
    const [record] = await readdir(cacheDir);
    const text = await readFile(path.join(cacheDir, record!), 'utf8');
    const lines = text.trimEnd().split('\n');
    await writeFiles(cacheDir, {
      [record!]: [...lines.with(3, '[').slice(0, 9), lines[9]!.slice(1)].join('\n'),
    });
    const { dataset, progress } = await open(root);
    expect(dataset.train).toHaveLength(8);
    expect(progress.find(({ phase }) => phase === 'verifying')?.done).toBe(8);
  });

  it('takes labels by pattern', async () => {
    const root = await makeFolder();
    const names = Array.from({ length: 10 }, (_, i) => `pets/${i % 2 === 0 ? 'Bombay' : 'beagle'}_${i}.jpg`);
    await writeFiles(root, Object.fromEntries(names.map((name) => [name, small])));
    const { dataset } = await open(root, { labelPattern: String.raw`/([^/]+)_\d+.jpg$` });
    expect(dataset.classes).toEqual(['Bombay', 'beagle']);
    const { train, valid } = dataset;
    expect(
      [...train, ...valid].every(({ path: name, label }) => name.includes(dataset.classes[label]!)),
    ).toBe(true);
  });

  it('takes labels from a file, leaves other images out, and says how many', async () => {
    const root = await makeImages(20, { 'extra.jpg': 'never looked at' });
    const rows = Array.from({ length: 18 }, (_, i) => `${i % 2 === 0 ? 'a' : 'b'}/0${10 + i}.jpg,${i % 3}`);
    const labelsFile = path.join(root, 'labels.csv');
    await writeFiles(root, { 'labels.csv': ['path,label', ...rows].join('\n') });
    const { dataset, quarantined, remarks } = await open(root, { labelsFile });
    expect(dataset.classes).toEqual(['0', '1', '2']);
    const labelled = [...dataset.train, ...dataset.valid].map(({ path: name, label }) => `${name},${label}`);
    expect(labelled.sort()).toEqual(rows.slice(0, 10).sort());
    expect(quarantined).toEqual([]);
    expect(remarks.filter(({ level }) => level === 'note').map(({ text }) => text)).toEqual([
      '11 of 21 images are not in labels.csv and are left out',
      '8 of the files that labels.csv names are not there, for example a/020.jpg',
    ]);
    const other = rows.map((row) => row.replace(/.$/, (label) => String((Number(label) + 1) % 3)));
    await writeFiles(root, { 'labels.csv': other.join('\n') });
    expect((await open(root, { labelsFile })).dataset.digest).not.toBe(dataset.digest);
    // All of these images have the same bytes.
    expect((await open(await makeImages(20))).remarks.map(({ about }) => about)).toEqual([
      'images-in-both-sets',
    ]);
  });

  it('says what is wrong with a folder, and what to do', async () => {
    const root = await makeImages(10);
    const empty = await makeFolder();
    await writeFiles(empty, { 'a/notes.txt': 'x', '.git/1.jpg': small });
    const flat = await makeFolder();
    await writeFiles(flat, { '1.jpg': small, '2.jpg': small });
    const single = await makeFolder();
    await writeFiles(single, { 'a/1.jpg': small, 'a/2.jpg': small });
    const cases: [string, Partial<DatasetOptions>, string, RegExp][] = [
      [path.join(root, 'missing'), {}, 'not-found', /there is no folder .*missing/],
      [path.join(root, 'a/000.jpg'), {}, 'invalid-argument', /is not a folder/],
      [empty, {}, 'invalid-argument', /there are no images in/],
      [flat, {}, 'invalid-argument', /no class folder .*2 image files, for example \/1\.jpg/],
      [single, {}, 'invalid-argument', /only one class, a, .*2 image files/],
      [
        root,
        { labelPattern: '/(x+)_' },
        'invalid-argument',
        /matches no file .*10 image files, for example \/a\/000/,
      ],
      [root, { labelPattern: '(' }, 'invalid-argument', /not a regular expression/],
      [root, { validPct: 0.01 }, 'invalid-argument', /10 images are too few/],
      [root, { validPct: 20 }, 'invalid-argument', /validation share is 20/],
    ];
    for (const [data, o, code, message] of cases) {
      await expect(open(data, { cacheDir: path.join(root, '.cache'), ...o })).rejects.toMatchObject({
        name: 'RondoError',
        code,
        message: expect.stringMatching(message),
        remedy: expect.any(String),
      });
    }
  });

  it('stops when asked to, and keeps what was verified', async () => {
    const root = await makeImages(60);
    await setTimeout(100);
    const controller = new AbortController();
    const stopping = open(root, {
      signal: controller.signal,
      onProgress: ({ phase, done }) => {
        if (phase === 'verifying' && done === 20) controller.abort();
      },
    });
    await expect(stopping).rejects.toMatchObject({ code: 'cancelled' });
    const verifying = (await open(root)).progress.filter(({ phase }) => phase === 'verifying');
    expect(verifying[0]!.done).toBeGreaterThanOrEqual(20);
    expect(verifying[0]!.done).toBeLessThan(60);
  });

  it('goes on without a cache folder that can be written to', async () => {
    const root = await makeImages(10, { file: '' });
    const { dataset } = await open(root, { cacheDir: path.join(root, 'file/cache') });
    expect(dataset.train).toHaveLength(8);
  });
});
