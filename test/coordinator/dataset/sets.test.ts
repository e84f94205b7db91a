import { link, symlink } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type DatasetOptions, openDataset } from '../../../coordinator/dataset/dataset.js';
import type { Dataset } from '../../../proto/dataset.js';
import type { Samples } from '../../../runtime/storage/sample-columns.js';
import { jpegBytes, makeFolder, writeFiles } from '../../support/images.js';

const images = await Promise.all(Array.from({ length: 80 }, (_, i) => jpegBytes(i, 8 + i, 8)));

/** `perClass` images in each of `folders` of a folder, no two with the same bytes. */
async function makeImages(folders: readonly string[], perClass = 3, more: Record<string, string> = {}) {
  const root = await makeFolder();
  const files = folders.flatMap((folder, f) =>
    Array.from({ length: perClass }, (_, i) => [`${folder}/${i}.jpg`, images[f * perClass + i]!] as const),
  );
  await writeFiles(root, { ...Object.fromEntries(files), ...more });
  return root;
}

async function open(data: string, o: Partial<DatasetOptions> = {}) {
  const { dataset, validation, remarks } = await openDataset({
    ...{ data, validPct: 0.2, seed: 42, cacheDir: path.join(data, '.cache') },
    signal: new AbortController().signal,
    onProgress: () => {},
    ...o,
  });
  return { dataset, validation, remarks: Object.fromEntries(remarks.map((found) => [found.about, found])) };
}

function pathsOf({ train, valid }: Dataset) {
  const paths = (samples: Samples) => Array.from(samples, ({ path }) => path);
  return { train: paths(train), valid: paths(valid) };
}

const names = (folder: string) => [0, 1, 2].map((i) => `${folder}/${i}.jpg`);

describe('folders of sets', () => {
  it.each([
    ['train', 'valid'],
    ['train', 'val'],
    ['Training', 'Validation'],
    ['train2017', 'val2017'],
    ['training_set', 'validation-set'],
  ])('%s and %s are the sets, and no classes', async (train, valid) => {
    const root = await makeImages([`${train}/a`, `${train}/b`, `${valid}/a`, `${valid}/b`]);
    const { dataset, validation, remarks } = await open(root);
    expect(dataset.classes).toEqual(['a', 'b']);
    expect(pathsOf(dataset)).toEqual({
      train: [...names(`${train}/a`), ...names(`${train}/b`)],
      valid: [...names(`${valid}/a`), ...names(`${valid}/b`)],
    });
    expect(dataset.validRoot).toBeUndefined();
    expect(validation).toBe(`the folder ${valid}`);
    expect(remarks).toEqual({
      'validation-set': expect.objectContaining({ level: 'note', count: 6 }),
    });
    expect(remarks['validation-set']!.text).toMatch(/6 of 12 images; --split random/);
  });

  it('are told apart by the digest, which knows whose folder an image lies in', async () => {
    const root = await makeImages(['train/a', 'train/b', 'valid/a', 'valid/b']);
    const given = (await open(root)).dataset;
    const drawn = (await open(root, { split: 'random' })).dataset;
    expect(drawn.digest).not.toBe(given.digest);
    expect([drawn.train.length, drawn.valid.length]).toEqual([10, 2]);
    expect(drawn.classes).toEqual(['a', 'b']);
  });

  it('leave out test and whatever else lies beside them, and say so', async () => {
    const root = await makeImages(['train/a', 'train/b', 'valid/a', 'valid/b', 'test/a', 'extra']);
    const { dataset, remarks } = await open(root);
    expect([dataset.train.length, dataset.valid.length]).toEqual([6, 6]);
    expect(remarks['test-set']).toMatchObject({
      level: 'note',
      text: 'test (3 images) is neither trained nor validated on',
    });
    expect(remarks['other-files']).toMatchObject({ level: 'warning', names: ['extra'] });
  });

  it('train and test alone: test takes no part, and the way to validate on it is named', async () => {
    const root = await makeImages(['train/a', 'train/b', 'test/a', 'test/b'], 5);
    const { dataset, validation, remarks } = await open(root);
    expect([dataset.train.length, dataset.valid.length]).toEqual([8, 2]);
    expect(
      [...pathsOf(dataset).train, ...pathsOf(dataset).valid].some((name) => name.startsWith('test')),
    ).toBe(false);
    expect(validation).toBe('20 % drawn at random (seed 42)');
    expect(remarks['test-set']).toMatchObject({ level: 'warning' });
    expect(remarks['test-set']!.text).toContain(`--valid ${path.join(root, 'test')}`);
  });

  it('are not meant by names that every object has, or that only begin so', async () => {
    const root = await makeImages(['constructor', 'toString', 'trainer', 'valley']);
    const { dataset, remarks } = await open(root);
    expect(dataset.classes).toEqual(['constructor', 'toString', 'trainer', 'valley']);
    expect(remarks['class-names']).toBeUndefined();
  });

  it('are classes where they stand among others', async () => {
    const root = await makeImages(['train', 'bus', 'test']);
    const { dataset, remarks } = await open(root);
    expect(dataset.classes).toEqual(['bus', 'test', 'train']);
    expect(remarks['class-names']!.text).toMatch(/^test, train are classes here/);
  });

  it('may consist of links into one folder of images', async () => {
    const root = await makeImages(['pool']);
    await writeFiles(root, {
      'train/a/x.jpg': images[10]!,
      'valid/a/y.jpg': images[11]!,
      'valid/b/z.jpg': images[12]!,
    });
    await writeFiles(root, { 'train/b/w.jpg': images[13]! });
    await symlink('../../pool/0.jpg', path.join(root, 'train/a/0.jpg'));
    await symlink('../../pool/1.jpg', path.join(root, 'valid/b/1.jpg'));
    const { dataset } = await open(root);
    expect(pathsOf(dataset)).toEqual({
      train: ['train/a/0.jpg', 'train/a/x.jpg', 'train/b/w.jpg'],
      valid: ['valid/a/y.jpg', 'valid/b/1.jpg', 'valid/b/z.jpg'],
    });
  });
});

describe('--valid', () => {
  it('takes another folder for validation, of the same classes', async () => {
    const root = await makeImages(['a', 'b']);
    const valid = await makeImages(['a', 'b', 'c'], 2);
    const { dataset, validation, remarks } = await open(root, { validDir: valid });
    expect(dataset.classes).toEqual(['a', 'b', 'c']);
    expect(dataset.train).toHaveLength(6);
    expect(pathsOf(dataset).valid).toEqual([
      'a/0.jpg',
      'a/1.jpg',
      'b/0.jpg',
      'b/1.jpg',
      'c/0.jpg',
      'c/1.jpg',
    ]);
    expect(dataset.validRoot).toBe(valid);
    expect(validation).toBe(`the folder ${valid}`);
    // Not --split random: the two are refused together.
    expect(remarks['validation-set']!.text).toBe(
      `the validation set is the folder ${valid}: 6 of 12 images; without --valid, --data gives both sets`,
    );
    expect(remarks['classes-without-training']).toMatchObject({ level: 'warning', names: ['c'] });
    expect(remarks['images-in-both-sets']).toMatchObject({ level: 'warning', count: 6 });
  });

  it('counts the images that the table of labels names, and offers what may be given where none is left', async () => {
    const root = await makeImages(['a', 'b']);
    const valid = await makeImages(['a', 'b']);
    const labelled = async (names: readonly string[]) => {
      const lines = names.map((name) => `${name},${name[0]}`);
      await writeFiles(root, { 'labels.csv': ['path,label', ...lines].join('\n') });
      return open(root, { validDir: valid, labelsFile: path.join(root, 'labels.csv') });
    };
    const { remarks } = await labelled(['a/0.jpg', 'b/0.jpg', 'b/1.jpg']);
    expect(remarks['validation-set']).toMatchObject({ text: expect.stringMatching(/: 3 of 6 images;/) });

    const broken = await makeFolder();
    await writeFiles(broken, { 'a/0.jpg': 'x' });
    const refused = open(root, { validDir: broken, skipBroken: true });
    await expect(refused).rejects.toMatchObject({
      message: `with the folder ${broken} as validation set there are 0 images to validate on and 6 to train on`,
      remedy: 'at least 1 and 2 are needed; without --valid, --data gives both sets',
    });
  });

  it('may lie inside the data, or around them: its images are its own', async () => {
    const root = await makeImages(['a', 'b', 'held/a', 'held/b']);
    const inner = await open(root, { validDir: path.join(root, 'held') });
    expect(pathsOf(inner.dataset)).toEqual({
      train: [...names('a'), ...names('b')],
      valid: [...names('a'), ...names('b')],
    });
    const outer = await open(path.join(root, 'held'), { validDir: root });
    expect(pathsOf(outer.dataset).valid).toEqual([...names('a'), ...names('b')]);
  });

  it('refuses the data itself, a folder without images, and none', async () => {
    const root = await makeImages(['a', 'b']);
    const empty = await makeFolder();
    await expect(open(root, { validDir: root })).rejects.toThrow(/--valid and --data are both/);
    await expect(open(root, { validDir: empty })).rejects.toThrow(/no images in .*, which --valid names/);
    await expect(open(root, { validDir: path.join(root, 'no') })).rejects.toMatchObject({
      code: 'not-found',
      remedy: expect.stringContaining('--valid'),
    });
  });
});

describe('a table of labels', () => {
  const table = (column: string, values: readonly string[]) =>
    [`path,label,${column}`, ...values.map((value, i) => `all/${i}.jpg,${'ab'[i % 2]},${value}`)].join('\n');

  it('gives the validation set by a column, and leaves a test set out', async () => {
    const values = ['train', 'train', 'valid', 'valid', 'train', 'test', 'train', 'val'];
    const root = await makeImages(['all'], 8, { 'labels.csv': table('split', values) });
    const labelsFile = path.join(root, 'labels.csv');
    const { dataset, validation, remarks } = await open(root, { labelsFile });
    expect(pathsOf(dataset)).toEqual({
      train: ['all/0.jpg', 'all/1.jpg', 'all/4.jpg', 'all/6.jpg'],
      valid: ['all/2.jpg', 'all/3.jpg', 'all/7.jpg'],
    });
    expect(validation).toBe('the column split of labels.csv');
    expect(remarks['test-set']!.names).toEqual(['all/5.jpg']);
    expect(remarks['unused-columns']).toBeUndefined();

    const moved = table('split', values.with(0, 'valid'));
    await writeFiles(root, { 'labels.csv': moved });
    expect((await open(root, { labelsFile })).dataset.digest).not.toBe(dataset.digest);
  });

  it("gives it by fastai's is_valid, unless another split is asked for", async () => {
    const values = ['False', 'False', 'True', 'True', 'False', 'False'];
    const root = await makeImages(['all'], 6, { 'labels.csv': table('is_valid', values) });
    const labelsFile = path.join(root, 'labels.csv');
    expect(pathsOf((await open(root, { labelsFile })).dataset).valid).toEqual(['all/2.jpg', 'all/3.jpg']);
    const random = await open(root, { labelsFile, split: 'random' });
    expect(random.dataset.valid).toHaveLength(1);
    expect(random.remarks['unused-columns']!.names).toEqual(['is_valid']);
  });

  it('draws a set that the column leaves empty, and warns', async () => {
    const root = await makeImages(['all'], 6, { 'labels.csv': table('is_valid', Array(6).fill('0')) });
    const { dataset, remarks } = await open(root, { labelsFile: path.join(root, 'labels.csv') });
    expect(dataset.valid).toHaveLength(1);
    expect(remarks['validation-set']).toMatchObject({ level: 'warning' });
  });
});

describe('what is passed over or looks wrong', () => {
  it('is named: unread kinds, other files, empty folders, links, folders in classes', async () => {
    const root = await makeImages(['a', 'b', 'b/inner'], 3, {
      ...{ 'a/x.bmp': '', 'a/y.BMP': '', 'b/z.heic': '', 'notes.txt': '', 'b/Thumbs.db': '', 'c/k.svg': '' },
    });
    await symlink('0.jpg', path.join(root, 'a/again.jpg'));
    await link(path.join(root, 'a/0.jpg'), path.join(root, 'b/hard.jpg'));
    const { remarks } = await open(root);
    expect(Object.values(remarks).map(({ level, text }) => `${level}: ${text}`)).toEqual([
      'warning: 4 files of a kind that is not read, left out: 2 .bmp, 1 .heic, 1 .svg, for example a/x.bmp',
      "note: 2 files without an image's ending, passed over: 1 .db, 1 .txt",
      'warning: a folder holds no image that is read and is no class: c',
      'warning: 2 links to what is listed under another name, counted once: b/hard.jpg, a/again.jpg',
      'warning: a folder inside a class folder counts as a class of its own: b/inner',
      expect.stringMatching(
        /^warning: .* no image to validate on: .*; --split stratified draws from each class$/,
      ),
    ]);
  });

  it('is named: classes of a single image each, and names that look alike', async () => {
    const classes = ['cat', 'Cat ', 'dog', 'images', 'x1', 'x2', 'x3', 'x4'];
    const { remarks } = await open(await makeImages(classes, 1));
    expect(remarks['similar-classes']!.names).toEqual(['Cat ', 'cat']);
    expect(remarks['class-names']!.names).toEqual(['images']);
    expect(remarks['single-image-classes']!.text).toMatch(/^8 of 8 classes have a single image/);
  });

  it('shows names that would write to a terminal as what they are', async () => {
    const root = await makeImages(['a', 'b', 'c\u001b[31m'], 3, { 'd\u001b]0;x\u0007/e.txt': '' });
    const { remarks, dataset } = await open(root);
    expect(dataset.classes).toContain('c\u001b[31m');
    for (const { text } of Object.values(remarks)) expect(text).toMatch(/^\P{Cc}+$/u);
    expect(remarks['empty-folders']!.text).toMatch(/d\ufffd\]0;x\ufffd$/);
  });
});

describe('broken files', () => {
  it('are left out however many, when that is asked for, and all of them are told of before', async () => {
    const root = await makeImages(['a', 'b'], 3, { 'a/bad1.jpg': 'x', 'b/bad2.jpg': 'y' });
    const told: string[][] = [];
    const o = {
      onQuarantined: (files: readonly { path: string }[]) => told.push(files.map((file) => file.path)),
    };
    await expect(open(root, o)).rejects.toMatchObject({
      message: expect.stringContaining('2 of 8 images'),
      remedy: expect.stringContaining('--skip-broken'),
    });
    const { dataset } = await open(root, { ...o, skipBroken: true });
    expect(dataset.train.length + dataset.valid.length).toBe(6);
    expect(told).toEqual([
      ['a/bad1.jpg', 'b/bad2.jpg'],
      ['a/bad1.jpg', 'b/bad2.jpg'],
    ]);
  });
});
