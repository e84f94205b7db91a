import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listImages, renderPredictions } from '../../../coordinator/inference/predict-images.js';
import { openSampleReader } from '../../../runtime/storage/sample-reader.js';
import { jpegBytes, writeFiles } from '../../support/images.js';
import { packFolder } from '../../support/packing.js';
import { temporaryFolder } from '../../support/tiny-run.js';

const never = new AbortController().signal;

describe('listImages', () => {
  it('takes the images of a pack where they lie in its shards', async () => {
    const root = temporaryFolder();
    const [data, packed] = [join(root, 'photos'), join(root, 'packed')];
    const bytes = await Promise.all([0, 1, 2].map((variant) => jpegBytes(variant)));
    await writeFiles(data, { 'a/1.jpg': bytes[0]!, 'a/2.jpg': bytes[1]!, 'b/1.jpg': bytes[2]! });
    await packFolder(data, packed);
    const { files, packs } = await listImages([join(data, 'a', '1.jpg'), packed], never);
    expect(files).toHaveLength(4);
    expect(packs).toEqual([
      {
        root: packed,
        shards: [{ name: 'images-000000.tar', digest: expect.stringMatching(/^[0-9a-f]{64}$/) }],
      },
    ]);
    const reader = openSampleReader(packed, packs[0]!.shards);
    for (const [index, file] of files.slice(1).entries()) {
      if (typeof file === 'string') throw new Error('a packed image is no path');
      expect(file).toMatchObject({ pack: 0, path: ['a/1.jpg', 'a/2.jpg', 'b/1.jpg'][index] });
      expect(await reader.read(file)).toEqual(bytes[index]);
    }
    await reader.close();
  });

  it('takes files as they are given, and the images of folders in order of their paths', async () => {
    const root = temporaryFolder();
    mkdirSync(join(root, 'in', 'deep'), { recursive: true });
    for (const name of [
      'in/b.JPG',
      'in/a.png',
      'in/deep/c.webp',
      'in/.hidden.jpg',
      'in/notes.txt',
      'in/deep/d.bmp',
      'own.txt',
    ])
      writeFileSync(join(root, name), '');
    symlinkSync(join(root, 'gone.jpg'), join(root, 'in', 'link.jpg'));
    const given = [join(root, 'own.txt'), join(root, 'in'), join(root, 'nowhere.jpg')];
    const { files, broken, remarks } = await listImages(given, never);
    const wanted = ['own.txt', 'in/a.png', 'in/b.JPG', 'in/deep/c.webp', 'nowhere.jpg'];
    expect(files).toEqual(wanted.map((name) => join(root, name)));
    expect(broken).toEqual([
      { image: join(root, 'in/link.jpg'), reason: 'is a symbolic link that leads nowhere' },
    ]);
    expect(remarks.map(({ text }) => text)).toEqual([
      'a file of a kind that is not read, left out: 1 .bmp, for example deep/d.bmp',
      "a file without an image's ending, passed over: 1 .txt",
    ]);
  });

  it('refuses folders without an image', async () => {
    const root = temporaryFolder();
    await expect(listImages([root], never)).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('renderPredictions', () => {
  it('aligns names, classes and probabilities, and says what could not be read', () => {
    const top = [
      { class: 'cat', probability: 0.98764 },
      { class: 'leopard', probability: 0.01 },
    ];
    const lines = renderPredictions([
      { kind: 'prediction', image: 'a.jpg', top },
      { kind: 'unreadable', image: 'longer.jpg', reason: 'torn' },
    ]);
    expect(lines).toEqual([
      'image       class    prob.  or       prob.',
      'a.jpg       cat     0.9876  leopard 0.0100',
      'longer.jpg  unreadable: torn',
    ]);
  });

  it('takes more images than a call takes arguments', () => {
    const many = Array.from({ length: 200_000 }, (_, index) => ({
      ...{ kind: 'unreadable' as const, image: `${index}.jpg`, reason: 'torn' },
    }));
    const lines = renderPredictions(many);
    expect(lines).toHaveLength(200_001);
    expect(lines.at(-1)).toBe('199999.jpg  unreadable: torn');
  });
});
