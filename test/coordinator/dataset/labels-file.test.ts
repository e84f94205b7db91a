import { describe, expect, it } from 'vitest';
import { parseCsv } from '../../../coordinator/dataset/csv.js';
import { matchLabels, readLabelsFile } from '../../../coordinator/dataset/labels-file.js';
import { makeFolder, writeFiles } from '../../support/images.js';

const images = ['train/1.jpg', 'train/2.PNG', 'b.jpg', 'same.jpg', 'same.png'].map((path) => ({ path }));

function match(text: string) {
  const { labeller, missing } = matchLabels(parseCsv(text, 'labels.csv'), images, 'labels.csv');
  const labels = Object.fromEntries(images.map(({ path }) => [path, labeller(path)]));
  return { labels, missing, reason: labeller.reason };
}

describe('matchLabels', () => {
  it.each([
    ['with a header', 'name,label\ntrain/1.jpg,cat\nb.jpg,dog\n'],
    ['without a header', 'train/1.jpg,cat\nb.jpg,dog\n'],
    ['with names without endings', 'id,breed\ntrain/1,cat\nb,dog\n'],
    ['without endings and header', 'train/1,cat\nb,dog\n'],
    ['with other ways to write a path', './train/1.jpg,cat\n/b.jpg,dog\n'],
    ['with backslashes', 'train\\1.jpg,cat\nb.jpg,dog\n'],
    ['with more columns', 'path,label,split\ntrain/1.jpg,cat,x\nb.jpg,dog,y\n'],
    ['with lines that say the same twice', 'train/1.jpg,cat\nb.jpg,dog\ntrain/1.jpg,cat\n'],
  ])('reads a file %s', (_, text) => {
    const { labels, missing, reason } = match(text);
    expect(labels).toEqual({ 'train/1.jpg': 'cat', 'b.jpg': 'dog' });
    expect(missing).toEqual([]);
    expect(reason).toBe('is not in labels.csv');
  });

  it('counts names that are not there; a first line that names a file is no header', () => {
    expect(match('gone.jpg,cat\ntrain/1.jpg,cat\nb.jpg,dog\nGone.jpg,cow\n').missing).toEqual([
      'gone.jpg',
      'Gone.jpg',
    ]);
  });

  it.each([
    ['train/1.jpg,cat\nb.jpg,\n', /line 2, gives "b\.jpg" no label/],
    ['b.jpg,cat\ntrain/1.jpg,cat\nb.jpg,dog\n', /line 3, calls b\.jpg "dog", but line 1 calls it "cat"/],
    ['b.jpg,cat\nsame,dog\n', /line 2, could mean same\.jpg or same\.png/],
    ['name,label\nx.jpg,cat\ny.jpg,dog\n', /names no image of the folder: for example "x\.jpg"/],
    ['name,label\n', /names no image of the folder: it has no line/],
    ['', /names no image of the folder: it has no line/],
    ['train/1.jpg,cat\nb.jpg,cat\n', /knows only one class, cat/],
  ])('refuses %j', (text, message) => {
    expect(() => match(text)).toThrow(message);
    expect(() => match(text)).toThrow(
      expect.objectContaining({ code: 'invalid-argument', remedy: expect.any(String) }),
    );
  });
});

describe('readLabelsFile', () => {
  it('says when there is no such file, or no second column', async () => {
    const folder = await makeFolder();
    await writeFiles(folder, { 'one.csv': 'path;label\nb.jpg;cat\n' });
    await expect(readLabelsFile(`${folder}/no.csv`, images)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('there is no file'),
    });
    await expect(readLabelsFile(`${folder}/one.csv`, images)).rejects.toThrow(
      /one\.csv, line 1, has a single column/,
    );
  });
});
