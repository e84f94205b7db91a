import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { readCsv } from '../../../coordinator/dataset/csv.js';
import { matchLabels, readLabelsFile } from '../../../coordinator/dataset/labels-file.js';
import { makeFolder, writeFiles } from '../../support/images.js';

const images = ['train/1.jpg', 'train/2.PNG', 'b.jpg', 'same.jpg', 'same.png'].map((path) => ({ path }));

const labelsOf = (text: string, files: readonly { path: string }[] = images) =>
  matchLabels(readCsv([Buffer.from(text)], 'labels.csv'), files, 'labels.csv');

async function match(text: string) {
  const { labeller, missing } = await labelsOf(text);
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
  ])('reads a file %s', async (_, text) => {
    const { labels, missing, reason } = await match(text);
    expect(labels).toEqual({ 'train/1.jpg': 'cat', 'b.jpg': 'dog' });
    expect(missing).toEqual([]);
    expect(reason).toBe('is not in labels.csv');
  });

  it('counts names that are not there; a first line that names a file is no header', async () => {
    expect((await match('gone.jpg,cat\ntrain/1.jpg,cat\nb.jpg,dog\nGone.jpg,cow\n')).missing).toEqual([
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
    ['train/1.jpg,"c\nat"\nb.jpg,dog\n', /line 1, has a control character \(U\+000A\) in the label/],
    ['b.jpg,dog\ntrain/1.jpg,\u001b[31mcat\n', /line 2, has a control character \(U\+001B\) in the label/],
    ['b.jpg,dog\nb\u0000.jpg,cat\n', /line 2, has a control character \(U\+0000\) in the path/],
  ])('refuses %j', async (text, message) => {
    await expect(match(text)).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringMatching(message),
      remedy: expect.any(String),
    });
  });
});

describe('composed and decomposed letters', () => {
  const composed = 'caf\u00e9';
  const decomposed = 'cafe\u0301';

  it('are one class, and one file where only one of them is there', async () => {
    const files = [{ path: `${decomposed}.jpg` }, { path: 'b.jpg' }, { path: 'c.jpg' }];
    const text = `${composed}.jpg,${composed}\nb.jpg,${decomposed}\nc.jpg,tea\n`;
    const { labeller, missing } = await labelsOf(text, files);
    expect(missing).toEqual([]);
    expect(files.map(({ path }) => labeller(path))).toEqual([composed, composed, 'tea']);
  });

  it('are two files where both are there', async () => {
    const files = [{ path: `${decomposed}.jpg` }, { path: `${composed}.jpg` }];
    const text = `${composed}.jpg,one\n${decomposed}.jpg,two\n`;
    const { labeller } = await labelsOf(text, files);
    expect(files.map(({ path }) => labeller(path))).toEqual(['two', 'one']);
  });
});

describe('a column of sets', () => {
  const setsOf = async (text: string) => {
    const { sets, unusedColumns } = await labelsOf(text);
    const of = sets && Object.fromEntries(images.map(({ path }) => [path, sets.of(path)]));
    return { column: sets?.column ?? null, of, unusedColumns };
  };

  it.each([
    ['is_valid', 'False', 'True', 'valid'],
    ['Is_Valid', '0', '1', 'valid'],
    ['is_valid', '', 'yes', 'valid'],
    ['split', 'train', 'val', 'valid'],
    ['subset', 'Training', 'validation', 'valid'],
    ['set', 'train', 'test', 'test'],
  ])('%s with %s and %s says which images validate', async (column, train, other, set) => {
    const text = `path,label,width,${column}\ntrain/1.jpg,cat,10,${train}\nb.jpg,dog,20,${other}\n`;
    const found = await setsOf(text);
    expect(found.column).toBe(column);
    expect(found.of).toMatchObject({ 'train/1.jpg': 'train', 'b.jpg': set, 'same.png': undefined });
    expect(found.unusedColumns).toEqual(['width']);
  });

  it('is about something else when none of its values names a set', async () => {
    const found = await setsOf('path,label,split\ntrain/1.jpg,cat,x\nb.jpg,dog,y\n');
    expect(found).toEqual({ column: null, of: null, unusedColumns: ['split'] });
    expect((await setsOf('train/1.jpg,cat,1\nb.jpg,dog,0\n')).unusedColumns).toEqual(['number 3']);
  });

  it.each([
    ['path,label,split\ntrain/1.jpg,cat,trian\nb.jpg,dog,valid\n', /line 2, has "trian" in the column split/],
    ['path,label,is_valid\ntrain/1.jpg,cat,0\nb.jpg,dog,2\n', /line 3, has "2" in the column is_valid/],
    [
      'path,is_valid,label\ntrain/1.jpg,0,cat\nb.jpg,1,dog\n',
      /line 1, has the column is_valid where the label/,
    ],
    [
      'path,label,split\nb.jpg,cat,train\nb.jpg,cat,valid\n',
      /line 3, puts b\.jpg into the valid set, but line 2/,
    ],
  ])('refuses %j', async (text, message) => {
    await expect(setsOf(text)).rejects.toThrow(message);
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

  it('takes little memory, however many rows there are', async () => {
    const file = path.join(await makeFolder(), 'labels.csv');
    const [rows, images] = [150_000, 1_000];
    function* lines() {
      yield 'path,label,is_valid\n';
      for (let row = 0; row < rows; row += 1) {
        yield `images/${row % images}.jpg,label ${row % 10},${row % 2}\n`;
      }
    }
    function* blocks() {
      let block = '';
      for (const line of lines()) {
        block += line;
        if (block.length > 65_536) {
          yield block;
          block = '';
        }
      }
      yield block;
    }
    await pipeline(Readable.from(blocks()), createWriteStream(file));
    const script = `
      const { readLabelsFile } = await import(process.argv[1]);
      const images = Array.from({ length: ${images} }, (_, i) => ({ path: \`images/\${i}.jpg\` }));
      const { labeller, sets } = await readLabelsFile(process.argv[2], images);
      console.log(JSON.stringify(images.slice(0, 3).map(({ path }) => [labeller(path), sets.of(path)])));`;
    const module = path.resolve('dist/coordinator/dataset/labels-file.js');
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...['--max-old-space-size=40', '--input-type=module', '-e', script, module, file],
    ]);
    expect(JSON.parse(stdout)).toEqual([
      ['label 0', 'train'],
      ['label 1', 'valid'],
      ['label 2', 'train'],
    ]);
  });
});
