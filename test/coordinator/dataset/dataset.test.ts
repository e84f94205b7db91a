import { rename } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DatasetOptions } from '../../../coordinator/dataset/dataset.js';
import type { Samples } from '../../../runtime/storage/sample-columns.js';
import { claimSize, jpegBytes, makeFolder, writeFiles } from '../../support/images.js';
import { jpeg, makeImages, openImages, small } from '../../support/small-dataset.js';

describe('openDataset', () => {
  it('indexes a folder: classes, split, digest, no broken file', async () => {
    const root = await makeImages(20);
    const { dataset, quarantined, progress } = await openImages(root);
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
    const { dataset } = await openImages(root);
    const moved = path.join(await makeFolder(), 'moved');
    await rename(root, moved);
    const again = (await openImages(moved)).dataset;
    expect({ ...again, root: '' }).toEqual({ ...dataset, root: '' });
    const reseeded = (await openImages(moved, { seed: 43 })).dataset;
    expect(reseeded.valid).not.toEqual(dataset.valid);
    expect(reseeded.digest).toBe(dataset.digest);
    await writeFiles(moved, { 'a/000.jpg': jpeg });
    const resized = (await openImages(moved)).dataset;
    expect(resized.digest).not.toBe(dataset.digest);
    const pathsOf = (samples: Samples) => Array.from(samples, ({ path }) => path);
    expect(pathsOf(resized.valid)).toEqual(pathsOf(again.valid));
    await rename(path.join(moved, 'b'), path.join(moved, 'c'));
    expect((await openImages(moved)).dataset.digest).not.toBe(resized.digest);
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
    const { dataset, quarantined } = await openImages(root);
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
    await expect(openImages(root)).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringMatching(
        /^7 of 100 images in .*\n {2}a\/bad1\.jpg .*\n[\s\S]*bad5.*\n {2}and 2 more$/,
      ),
      remedy: expect.any(String),
    });
  });

  it('takes labels by pattern', async () => {
    const root = await makeFolder();
    const names = Array.from({ length: 10 }, (_, i) => `pets/${i % 2 === 0 ? 'Bombay' : 'beagle'}_${i}.jpg`);
    await writeFiles(root, Object.fromEntries(names.map((name) => [name, small])));
    const { dataset } = await openImages(root, { labelPattern: String.raw`/([^/]+)_\d+.jpg$` });
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
    const { dataset, quarantined, remarks } = await openImages(root, { labelsFile });
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
    expect((await openImages(root, { labelsFile })).dataset.digest).not.toBe(dataset.digest);
    // All of these images have the same bytes.
    expect((await openImages(await makeImages(20))).remarks.map(({ about }) => about)).toEqual([
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
      await expect(openImages(data, { cacheDir: path.join(root, '.cache'), ...o })).rejects.toMatchObject({
        name: 'RondoError',
        code,
        message: expect.stringMatching(message),
        remedy: expect.any(String),
      });
    }
  });
});
